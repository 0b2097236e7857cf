//! Throughput by the number of threads and routes.

use std::{
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use http::Uri;
use peers::{Boxed, Sdk, Workload, exchange, routed};

use crate::measure::median;

/// Prints thousands of requests per second, by threads and by routes.
pub(crate) fn print(sdk: &Sdk) {
    println!("\n| thousand requests/s | 1 thread | 2 threads | × | 100 routes | 1900 routes |");
    println!("|---|---:|---:|---:|---:|---:|");
    let services: Vec<_> = ROUTES.map(|routes| routed(sdk, routes)).into();
    let cases = [(0, 1), (0, 2), (1, 1), (2, 1)];
    let rows = services[0].len();
    let mut samples = vec![vec![Vec::new(); cases.len()]; rows];
    for _ in 0..ROUNDS {
        for (row, samples) in samples.iter_mut().enumerate() {
            for ((routes, threads), samples) in cases.iter().zip(samples) {
                let (_, service) = &services[*routes][row];
                samples.push(throughput(service, *threads, ROUTES[*routes]));
            }
        }
    }
    for (row, samples) in samples.into_iter().enumerate() {
        let [one, two, hundred, many] =
            samples.into_iter().map(|rounds| median(rounds.into_iter())).collect::<Vec<_>>()[..]
        else {
            unreachable!("there is one sample per case")
        };
        let name = services[0][row].0;
        let factor = two / one;
        println!("| {name} | {one:.0} | {two:.0} | {factor:.2} | {hundred:.0} | {many:.0} |");
    }
}

/// Returns thousands of requests per second of all threads together. Building the request is
/// included.
fn throughput(service: &Boxed, threads: usize, routes: usize) -> f64 {
    let is_over = AtomicBool::new(false);
    let barrier = Barrier::new(threads + 1);
    let uris: Vec<_> = (0..routes).map(uri).collect();
    let count = |thread: usize| {
        let mut service = service.clone();
        let request = Workload::W1.request();
        let (head, _) = request.into_parts();
        uris.iter().for_each(|uri| exchange(&mut service, of(&head, uri)));
        barrier.wait();
        let mut requests = 0;
        while !is_over.load(Ordering::Relaxed) {
            // The routes are visited out of order, and in another order by each thread.
            let uri = &uris[(requests * 7919 + thread * 31) % routes];
            exchange(&mut service, of(&head, uri));
            requests += 1;
        }
        requests
    };
    thread::scope(|scope| {
        let count = &count;
        let counts: Vec<_> =
            (0..threads).map(|thread| scope.spawn(move || count(thread))).collect();
        barrier.wait();
        let started = Instant::now();
        thread::sleep(SAMPLE);
        is_over.store(true, Ordering::Relaxed);
        let seconds = started.elapsed().as_secs_f64();
        let requests = counts.into_iter().map(|count| count.join().expect("no thread panics"));
        requests.sum::<usize>() as f64 / seconds / 1000.0
    })
}

fn of(head: &http::request::Parts, uri: &Uri) -> http::Request<axum::body::Body> {
    let mut head = head.clone();
    head.uri = uri.clone();
    http::Request::from_parts(head, axum::body::Body::empty())
}

fn uri(route: usize) -> Uri {
    let path = match route {
        0 => String::from("/users/42"),
        route => format!("/r{route}/users/42"),
    };
    path.parse().expect("the path is valid")
}

const ROUTES: [usize; 3] = [1, 100, 1900];
const ROUNDS: usize = 9;
const SAMPLE: Duration = Duration::from_millis(100);
