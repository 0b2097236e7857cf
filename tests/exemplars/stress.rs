//! Exchanges on two threads while a third one scrapes.

use std::{
    collections::HashSet,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use tower_telemetry::Convention;

use crate::support::{Rig, get_path, ids, router, send};

#[test]
fn each_exemplar_is_of_one_exported_span() {
    const EXCHANGES: usize = 4_000;
    let rig = Rig::new();
    let router = router().layer(rig.layer(Convention::server()).with_body_sizes());
    let done = AtomicBool::new(false);
    let seen = thread::scope(|scope| {
        let scraper = scope.spawn(|| {
            let mut seen = HashSet::new();
            while !done.load(Ordering::Relaxed) {
                seen.extend(rig.shown().iter().map(|exemplar| exemplar.ids()));
            }
            seen.extend(rig.shown().iter().map(|exemplar| exemplar.ids()));
            seen
        });
        let write = || (0..EXCHANGES).for_each(|_| send(&router, get_path("/a")));
        let writers = [scope.spawn(write), scope.spawn(write)];
        let results = writers.map(|writer| writer.join());
        done.store(true, Ordering::Relaxed);
        assert!(results.iter().all(Result::is_ok));
        scraper.join().unwrap()
    });
    let spans: HashSet<_> = rig.spans().iter().map(|span| ids(span.span_context.clone())).collect();
    assert_eq!(spans.len(), 2 * EXCHANGES);
    let strangers: Vec<_> = seen.difference(&spans).collect();
    assert!(strangers.is_empty(), "{strangers:?}");
    assert!(seen.len() > 2, "{} exemplars", seen.len());
}
