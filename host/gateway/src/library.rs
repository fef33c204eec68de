//! The gateway's view of the models on disk: fetching, deleting, copying.
//!
//! One thin trait, because the gateway knows no hub and no folder; who puts the host together joins the two.

use std::sync::Arc;

use atoll_plugin_runtime::types::{Error, ErrorKind, Progress};
use futures::future::BoxFuture;
use futures::stream::BoxStream;

use crate::failure;
use crate::gateway::Gateway;

/// How far a download is: progress, and at most one error, which is the last item. Ending without one means
/// that the model is here. Dropping it cancels the download, unless somebody else waits for it too.
pub type PullStream = BoxStream<'static, Result<Progress, Error>>;

/// What clients may do to the models on disk.
pub trait Library: Send + Sync + 'static {
    /// Fetches a model. The first item comes once it is known that there is something to fetch, so that a
    /// model that does not exist is an HTTP error and not the end of a stream.
    ///
    /// # Errors
    /// A name that is none, a host that is offline.
    fn pull(&self, name: &str) -> Result<PullStream, Error>;

    /// Unloads a model and deletes its files.
    ///
    /// # Errors
    /// A model that does not exist, is in use, or is not this host's to delete.
    fn delete<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<(), Error>>;

    /// Makes a model available under another name as well.
    ///
    /// # Errors
    /// A model that does not exist, a name that is taken or is none.
    fn copy<'a>(&'a self, from: &'a str, to: &'a str) -> BoxFuture<'a, Result<(), Error>>;
}

/// The library of a gateway that has one.
pub(crate) fn of(gateway: &Gateway) -> Result<&Arc<dyn Library>, Error> {
    let message = "this host does not let clients change its models";
    let library = gateway.inner.library.as_ref();
    library.ok_or_else(|| failure::error(ErrorKind::Forbidden, message))
}
