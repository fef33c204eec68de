//! A set of plugins with its routes: one immutable value.
//!
//! A request looks a set up once and keeps what it found, so it is answered by one version of each
//! plugin however often the set in force is replaced meanwhile. All maps are in one value: nobody can
//! see a new route with an old plugin behind it.

use std::sync::Arc;

use http::HeaderMap;

use crate::dialect::Dialect;
use crate::error::PluginError;
use crate::filter::Filter;
use crate::info::PluginInfo;
use crate::router::{Pattern, RouteError, Router};
use crate::strategy::{Placement, Scheduling};

/// A plugin of any role, ready to be called.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum LoadedPlugin {
    /// Speaks one wire API.
    Dialect(Arc<Dialect>),
    /// Reads or changes requests and answers.
    Filter(Arc<Filter>),
    /// Decides where a model runs.
    Placement(Arc<Placement>),
    /// Decides who goes next.
    Scheduling(Arc<Scheduling>),
}

impl LoadedPlugin {
    /// Who it is.
    #[must_use]
    pub fn info(&self) -> &PluginInfo {
        match self {
            Self::Dialect(plugin) => plugin.info(),
            Self::Filter(plugin) => plugin.info(),
            Self::Placement(plugin) => plugin.info(),
            Self::Scheduling(plugin) => plugin.info(),
        }
    }
}

/// A route that was found.
#[derive(Debug, Clone)]
pub struct RouteMatch {
    /// Who answers.
    pub dialect: Arc<Dialect>,
    /// The route's method: a request for the head alone (`HEAD`) may have found a route for `GET`.
    pub method: String,
    /// The pattern's parameters, decoded, in order.
    pub params: Vec<(String, String)>,
    /// Whether the request opens a WebSocket.
    pub socket: bool,
}

/// Where a route leads.
#[derive(Debug, Clone)]
struct Target {
    dialect: Arc<Dialect>,
    method: String,
    socket: bool,
}

/// An immutable set of plugins with its routes.
#[derive(Debug, Clone)]
pub struct Registry {
    /// In the order they were added, which is also the order in which filters run.
    plugins: Vec<LoadedPlugin>,
    routes: Router<Target>,
}

impl Default for Registry {
    fn default() -> Self {
        Self {
            plugins: Vec::new(),
            routes: Router::new(),
        }
    }
}

impl Registry {
    /// A set of these plugins, in this order.
    ///
    /// # Errors
    /// [`PluginError::Conflict`]: see [`Self::with`].
    pub fn new(plugins: impl IntoIterator<Item = LoadedPlugin>) -> Result<Self, PluginError> {
        let mut registry = Self::default();
        for plugin in plugins {
            registry.add(plugin)?;
        }
        Ok(registry)
    }

    /// This set and one more plugin.
    ///
    /// # Errors
    /// [`PluginError::Conflict`] when its name or one of its routes is taken: the newcomer is refused,
    /// whoever it is, so that the outcome does not depend on anything but order.
    pub fn with(&self, plugin: LoadedPlugin) -> Result<Self, PluginError> {
        let mut registry = self.clone();
        registry.add(plugin)?;
        Ok(registry)
    }

    /// Whether a stranger's plugin would leave everybody else's requests alone. Routes of plugins that ship with
    /// the host may share a path by a header; a stranger with a header that every request has, or with a narrower
    /// path, would get what another plugin's clients send.
    ///
    /// # Errors
    /// [`PluginError::Conflict`] that names the route, and whose requests it would take.
    pub fn unharmed_by(&self, plugin: &LoadedPlugin) -> Result<(), PluginError> {
        let info = plugin.info();
        for route in &info.routes {
            let conflict = |reason: String| PluginError::Conflict {
                name: info.name.clone(),
                version: info.version.clone(),
                reason,
            };
            let pattern = Pattern::parse(&route.path).map_err(conflict)?;
            let mut robbed = self
                .routes
                .shadowed(&route.method, &pattern, route.header.as_deref());
            if let Some(robbed) = robbed.next() {
                let header = route.header.as_ref();
                return Err(conflict(format!(
                    "the route {} {}{} would take requests of plugin {:?}",
                    route.method,
                    route.path,
                    header
                        .map(|h| format!(" with header {h}"))
                        .unwrap_or_default(),
                    robbed.dialect.info().name
                )));
            }
        }
        Ok(())
    }

    fn add(&mut self, plugin: LoadedPlugin) -> Result<(), PluginError> {
        let info = plugin.info();
        let conflict = |reason: String| PluginError::Conflict {
            name: info.name.clone(),
            version: info.version.clone(),
            reason,
        };
        if self.get(&info.name).is_some() {
            return Err(conflict(
                "a plugin of this name is already loaded".to_owned(),
            ));
        }
        if let LoadedPlugin::Dialect(dialect) = &plugin {
            for route in &info.routes {
                let pattern = Pattern::parse(&route.path).map_err(conflict)?;
                self.routes
                    .add(
                        &route.method,
                        pattern,
                        route.header.as_deref(),
                        Target {
                            dialect: Arc::clone(dialect),
                            method: route.method.clone(),
                            socket: route.is_socket(),
                        },
                    )
                    .map_err(|taken| {
                        let header = route
                            .header
                            .as_ref()
                            .map(|h| format!(" with header {h}"))
                            .unwrap_or_default();
                        conflict(format!(
                            "the route {} {}{header} belongs to plugin {:?} already",
                            route.method,
                            route.path,
                            taken.dialect.info().name
                        ))
                    })?;
            }
        }
        self.plugins.push(plugin);
        Ok(())
    }

    /// The dialect whose client sent a request that has no route, if one is the most likely: it words the refusal.
    #[must_use]
    pub fn nearest(&self, path: &str, headers: &HeaderMap) -> Option<Arc<Dialect>> {
        let same = |a: &Target, b: &Target| Arc::ptr_eq(&a.dialect, &b.dialect);
        let target = self.routes.nearest(path, headers, same)?;
        Some(Arc::clone(&target.dialect))
    }

    /// The plugin of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&LoadedPlugin> {
        self.plugins
            .iter()
            .find(|plugin| plugin.info().name == name)
    }

    /// All plugins, in order.
    #[must_use]
    pub fn plugins(&self) -> &[LoadedPlugin] {
        &self.plugins
    }

    /// The dialects, in order.
    pub fn dialects(&self) -> impl Iterator<Item = &Arc<Dialect>> {
        self.plugins.iter().filter_map(|plugin| match plugin {
            LoadedPlugin::Dialect(dialect) => Some(dialect),
            _ => None,
        })
    }

    /// The filters, in the order in which they see a request; answers pass them in reverse.
    pub fn filters(&self) -> impl Iterator<Item = &Arc<Filter>> {
        self.plugins.iter().filter_map(|plugin| match plugin {
            LoadedPlugin::Filter(filter) => Some(filter),
            _ => None,
        })
    }

    /// The placement strategies, in order.
    pub fn placements(&self) -> impl Iterator<Item = &Arc<Placement>> {
        self.plugins.iter().filter_map(|plugin| match plugin {
            LoadedPlugin::Placement(placement) => Some(placement),
            _ => None,
        })
    }

    /// The scheduling strategies, in order.
    pub fn schedulings(&self) -> impl Iterator<Item = &Arc<Scheduling>> {
        self.plugins.iter().filter_map(|plugin| match plugin {
            LoadedPlugin::Scheduling(scheduling) => Some(scheduling),
            _ => None,
        })
    }

    /// Which dialect answers a request. `path` as the client sent it, without the query.
    ///
    /// # Errors
    /// [`RouteError`]: nobody, or not with this method.
    pub fn route(
        &self,
        method: &str,
        path: &str,
        headers: &HeaderMap,
    ) -> Result<RouteMatch, RouteError> {
        self.routes
            .find(method, path, headers)
            .map(|(target, params)| RouteMatch {
                dialect: target.dialect,
                method: target.method,
                params,
                socket: target.socket,
            })
    }
}
