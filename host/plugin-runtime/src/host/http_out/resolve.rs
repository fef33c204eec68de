//! From a granted name to addresses that may be dialled.
//!
//! There is one look-up for each connection, and the addresses that it gave and that passed the check
//! are the ones that are dialled: a name that answers differently the second time (rebinding) gains
//! nothing, because nobody asks a second time.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use futures::FutureExt;
use futures::future::BoxFuture;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::address::is_public;
use super::allow::AllowList;

/// Answers which addresses a name has. The system's name service unless a test says otherwise.
pub trait Resolver: Send + Sync + 'static {
    /// The addresses of `name`, called once for each connection that a plugin's request opens.
    ///
    /// # Errors
    /// There are none, or nobody could say.
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, std::io::Result<Vec<IpAddr>>>;
}

/// The system's name service.
pub(crate) struct SystemResolver;

impl Resolver for SystemResolver {
    fn resolve<'a>(&'a self, name: &'a str) -> BoxFuture<'a, std::io::Result<Vec<IpAddr>>> {
        async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        }
        .boxed()
    }
}

/// The name has addresses, and all of them are somebody's own.
#[derive(Debug, thiserror::Error)]
#[error("its addresses are private ones, which have to be granted by name")]
pub(super) struct PrivateOnly;

/// What the HTTP client asks.
pub(super) struct CheckedResolver {
    pub allow: Arc<AllowList>,
    pub resolver: Arc<dyn Resolver>,
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let allow = Arc::clone(&self.allow);
        let resolver = Arc::clone(&self.resolver);
        async move {
            let addresses = match allow.address(name.as_str()) {
                Some(granted) => vec![granted],
                None => {
                    let found = resolver.resolve(name.as_str()).await?;
                    let public: Vec<IpAddr> = found.into_iter().filter(|a| is_public(*a)).collect();
                    if public.is_empty() {
                        return Err(PrivateOnly.into());
                    }
                    public
                }
            };
            // Port 0: the client puts the URL's in.
            let dialled = addresses
                .into_iter()
                .map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(dialled) as Addrs)
        }
        .boxed()
    }
}
