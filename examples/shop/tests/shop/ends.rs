//! A gateway that is told to stop under load answers what it has begun, and every answer has a span.

use crate::{
    processes::{Answers, Shop},
    receiver::Receiver,
    traces::Traces,
};

#[test]
fn a_gateway_that_stops_under_load() {
    let receiver = Receiver::start();
    let mut shop = Shop::start(&receiver, None);
    let load = shop.load(&["--requests", "600", "--rate", "200"]).spawn().unwrap();
    shop.gateway.wait_for_lines("answered", 100);
    shop.stop();
    let answers = Answers::parse(&load.wait_with_output().unwrap().stdout);
    let missed = answers.count(&["none"]);
    let answered = answers.count(&[]) - missed;
    assert!(answered >= 100 && missed > 0, "{answered} answers, {missed} without one");
    let received = receiver.received();
    let served = Traces::of(&received).spans("shop-gateway", "Server").len();
    assert_eq!(served as u64, answered);
    let failed = ["500", "502", "503"].map(|status| answers.count(&[status]));
    assert_eq!(failed, [0; 3]);
}
