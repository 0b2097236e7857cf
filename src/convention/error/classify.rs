//! `error.type`: the kind of an error, of low cardinality. Its message is never recorded.

use std::{borrow::Cow, error::Error, io, sync::Arc};

use opentelemetry::StringValue;

use super::{
    chain::{self, DowncastFn},
    kinds::{ErrorKinds, GENERIC, io_kind},
};
use crate::{contain::contain, convention::names, end::Failure, error_sources::sources};

type ErrorFn = Arc<dyn Fn(&(dyn Error + 'static)) -> Option<Cow<'static, str>> + Send + Sync>;

/// Rules that classify errors.
#[derive(Clone, Default)]
pub(crate) struct ErrorRules {
    pub(crate) hook: Option<ErrorFn>,
    pub(crate) types: Vec<DowncastFn>,
    pub(crate) kinds: Vec<ErrorKinds>,
}

impl ErrorRules {
    /// Returns the `error.type` of a failure: what the hook returns, else the innermost kind that is
    /// known in the chain of sources, else the name of the error's type.
    pub(crate) fn error_type(&self, failure: Failure<'_>) -> StringValue {
        let Some(error) = self.as_error(failure) else { return failure.type_name().into() };
        // Errors may be classified inside `Drop`. A hook that panics there returns nothing.
        let custom = self.hook.as_ref().and_then(|hook| contain(|| hook(error))?);
        if let Some(kind) = custom {
            return kind.into();
        }
        match self.kind(failure) {
            Some(kind) => kind.into(),
            // The name of the box would say nothing about its content.
            None if chain::is_boxed(failure.error()) => names::OTHER.into(),
            None => failure.type_name().into(),
        }
    }

    /// Returns the innermost known kind in the chain of sources.
    pub(crate) fn kind(&self, failure: Failure<'_>) -> Option<&'static str> {
        let kinds = || self.sources(failure).filter_map(|error| self.kind_of(error));
        let specific = kinds().filter(|kind| !GENERIC.contains(kind)).last();
        specific.or_else(|| kinds().last())
    }

    /// Returns true if no connection could be made, for whatever reason.
    pub(crate) fn is_connect_failure(&self, failure: Failure<'_>) -> bool {
        let kinds = self.sources(failure).filter_map(|error| self.kind_of(error));
        kinds.into_iter().any(|kind| matches!(kind, "connect" | "dns"))
    }

    /// Returns the number of the gRPC status that the error carries.
    pub(crate) fn grpc_status(&self, failure: Failure<'_>) -> Option<u8> {
        self.sources(failure)
            .find_map(|error| self.kinds.iter().find_map(|set| set.grpc_status?(error)))
    }

    fn kind_of(&self, error: &(dyn Error + 'static)) -> Option<&'static str> {
        match error.downcast_ref::<io::Error>() {
            Some(error) => io_kind(error.kind()),
            None => self.kinds.iter().find_map(|set| (set.kind)(error)),
        }
    }

    /// Iterates over the error and its sources, from the outermost to the innermost.
    fn sources<'a>(
        &self,
        failure: Failure<'a>,
    ) -> impl Iterator<Item = &'a (dyn Error + 'static)> + use<'a, '_> {
        let unwrap =
            |error: &'a (dyn Error + 'static)| self.kinds.iter().find_map(|set| set.unwrap?(error));
        self.as_error(failure).into_iter().flat_map(move |error| sources(error, unwrap))
    }

    fn as_error<'a>(&self, failure: Failure<'a>) -> Option<&'a (dyn Error + 'static)> {
        let known = self.kinds.iter().flat_map(|set| set.types);
        chain::as_error(failure.error(), known.chain(&self.types).copied())
    }
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::*;

    type BoxError = Box<dyn Error + Send + Sync>;

    #[derive(Debug)]
    struct Wrapper(Option<Box<dyn Error + Send + Sync>>);

    impl fmt::Display for Wrapper {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a message with user 4711 in it")
        }
    }

    impl Error for Wrapper {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(&**self.0.as_ref()?)
        }
    }

    /// Returns itself as its source.
    #[derive(Debug)]
    struct Endless;

    impl fmt::Display for Endless {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("endless")
        }
    }

    impl Error for Endless {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(self)
        }
    }

    fn refused() -> io::Error {
        io::ErrorKind::ConnectionRefused.into()
    }

    fn check<E: 'static>(rules: &ErrorRules, error: E, expected: &str) {
        let failure = Failure::new(&error);
        assert_eq!(rules.error_type(failure).as_str(), expected, "{failure:?}");
    }

    #[test]
    fn names_the_innermost_known_kind() {
        let plain = ErrorRules::default();
        let known = ErrorRules {
            types: vec![chain::downcast::<Wrapper>, chain::downcast::<Endless>],
            ..ErrorRules::default()
        };
        let hook = ErrorRules {
            hook: Some(Arc::new(|error| error.is::<Wrapper>().then(|| "wrapped".into()))),
            ..known.clone()
        };
        let wrapper = "tower_telemetry::convention::error::classify::tests::Wrapper";
        let endless = "tower_telemetry::convention::error::classify::tests::Endless";
        check(&plain, refused(), "connection_refused");
        check(&plain, io::Error::from(io::ErrorKind::TimedOut), "timeout");
        check(&plain, io::Error::other(Wrapper(Some(refused().into()))), "connection_refused");
        check(&plain, io::Error::other("user 4711"), "std::io::error::Error");
        check(&plain, BoxError::from("user 4711"), names::OTHER);
        check(&plain, BoxError::from(Wrapper(Some(refused().into()))), "connection_refused");
        check::<Box<dyn Error + Send>>(&plain, Box::new(refused()), "connection_refused");
        check::<Box<dyn Error>>(&plain, Box::new(refused()), "connection_refused");
        check(&plain, Wrapper(Some(refused().into())), wrapper);
        check(&known, Wrapper(Some(refused().into())), "connection_refused");
        check(&known, Wrapper(None), wrapper);
        check(&known, Endless, endless);
        check(&hook, Wrapper(Some(refused().into())), "wrapped");
        check(&hook, refused(), "connection_refused");
        check(&plain, String::from("user 4711"), "alloc::string::String");
    }

    /// A feature that another crate turned on changes nothing until the set is chosen.
    #[cfg(feature = "tower")]
    #[test]
    fn sets_of_kinds_count_only_if_chosen() {
        use tower::{load_shed::error::Overloaded, timeout::error::Elapsed};
        let plain = ErrorRules::default();
        let tower = ErrorRules { kinds: vec![ErrorKinds::TOWER], ..ErrorRules::default() };
        check(&plain, BoxError::from(Elapsed::new()), names::OTHER);
        check(&plain, Elapsed::new(), "tower::timeout::error::Elapsed");
        check(&tower, BoxError::from(Elapsed::new()), "timeout");
        check(&tower, Elapsed::new(), "timeout");
        check(&tower, BoxError::from(Overloaded::new()), "overloaded");
        check(&tower, BoxError::from(Wrapper(Some(Overloaded::new().into()))), "overloaded");
    }
}
