// SPDX-License-Identifier: MIT OR Apache-2.0
fn main() {
    let a: Vec<String> = std::env::args().collect();
    if std::env::var_os("LOUD").is_none() { std::panic::set_hook(Box::new(|_| {})); }
    let runs = a[2].parse().unwrap();
    if a[1] != "explore" {
        let plan = keel_check::random::Plan { subject: if a[1] == "slots" { keel_check::random::Subject::Slots } else { keel_check::random::Subject::System }, runs, length: a[3].parse().unwrap(), seed: a[4].parse().unwrap(), preempt_every: a.get(5).and_then(|t| t.parse().ok()), check_theorems: a.get(6).is_some() };
        match keel_check::random::run(plan) { Ok(c) => println!("{c:?}"), Err(e) => println!("{e}") }
    } else {
        for s in keel_check::stage::Small::ALL { if a.len() > 4 && a[4] != s.name() { continue }
            let t = std::time::Instant::now();
            match keel_check::explore::explore(s, a[3].parse().unwrap(), std::time::Duration::from_secs(runs as u64)) { Ok(c) => println!("{} {c:?} {:?}", s.name(), t.elapsed()), Err(e) => println!("{e}") }
        }
    }
}
