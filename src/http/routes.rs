//! Paths with their routes, listed so that they can be compared with what the document says of them.

use actix_web::{
    Resource, Route,
    http::header,
    web::{self, ServiceConfig},
};

use super::{body::MaxBytes, problem::Problem};

/// A path with the methods that it takes.
pub(super) struct Listed {
    path: &'static str,
    allow: &'static str,
    routes: Vec<Route>,
    /// How large a body may be; `None` for what all paths take.
    limit: Option<MaxBytes>,
}

impl Listed {
    /// Bounds the bodies of this path.
    pub(super) fn app_data(self, limit: MaxBytes) -> Self {
        Self { limit: Some(limit), ..self }
    }

    /// Other methods are refused, and `allow` says which are not.
    fn into_resource(self) -> Resource {
        let Self { path, allow, routes, limit } = self;
        let resource = routes.into_iter().fold(web::resource(path), Resource::route);
        let resource = limit.into_iter().fold(resource, Resource::app_data);
        resource.default_service(web::to(move || async move {
            let mut answer = Problem::method_not_allowed(allow).into_response();
            answer.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static(allow));
            answer
        }))
    }
}

/// Paths in the order in which they were added.
#[derive(Default)]
pub(super) struct Routes(Vec<Listed>);

impl Routes {
    /// One more.
    pub(super) fn service(mut self, listed: Listed) -> Self {
        self.0.push(listed);
        self
    }

    /// Has all of them answered by `app`.
    pub(super) fn serve(self, app: &mut ServiceConfig) {
        for listed in self.0 {
            app.service(listed.into_resource());
        }
    }

    /// Paths, and their methods divided by commas.
    #[cfg(test)]
    pub(super) fn listed(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.0.iter().map(|listed| (listed.path, listed.allow))
    }
}

/// A path with its routes, and the methods that they take.
pub(super) fn resource<const N: usize>(path: &'static str, allow: &'static str, routes: [Route; N]) -> Listed {
    Listed { path, allow, routes: routes.into(), limit: None }
}
