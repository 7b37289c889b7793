// SPDX-License-Identifier: MIT OR Apache-2.0

//! What random operations seldom come to: arguments just inside and just outside of what is legal, and a few situations
//! that take several steps to get into. Kernel and specification agree after each step.

use keel_abi::aarch64::{label as arch_label, object as arch_object};
use keel_abi::timing::DOMAINS;
use keel_abi::{label, object, slot, syscall};
use keel_check::lockstep::Lockstep;
use keel_check::script::{Cause, Op, Step};
use keel_check::stage::{self, IRQS, Small, Stage};
use keel_kernel::host::TIMER_KHZ;
use keel_kernel::host::world::{DEPTH, World};

const ROOT: u64 = slot::INIT_CNODE;
/// More points than the operations here have.
const POINTS: u64 = 12;

/// Plays each of `steps` on a copy of `world`, after `script`.
#[track_caller]
fn agrees_on_each(world: World, script: &[Step], steps: impl IntoIterator<Item = Step>) {
    let mut start = Lockstep::new(world);
    for step in script {
        start.apply(step).unwrap_or_else(|disagreement| panic!("{step}:\n{disagreement}"));
    }
    let mut lockstep = start.clone();
    for step in steps {
        lockstep.clone_from(&start);
        lockstep.apply(&step).unwrap_or_else(|disagreement| panic!("{step}:\n{disagreement}"));
        assert!(lockstep.coverage.open.is_empty(), "{step}: not compared");
    }
}

/// Plays `script`.
#[track_caller]
fn agrees(world: World, script: impl IntoIterator<Item = Step>) {
    let script: Vec<Step> = script.into_iter().collect();
    agrees_on_each(world, &script, []);
}

fn invoke(cap: u64, label: u64, words: &[u64], caps: &[u64]) -> Step {
    Op::invoke(cap, label, words, caps).into()
}

#[test]
fn objects_have_sizes_and_places() {
    let mut world = stage::bare();
    let (untyped, node, endpoint) = (world.untyped(12), world.make(object::CAP_TABLE, 2), world.endpoint());
    // The last slot is taken.
    world.must(node, label::CNODE_COPY, &[3, 2, endpoint, DEPTH, 15], &[ROOT]);
    let retype = |words: [u64; 6]| invoke(untyped, label::UNTYPED_RETYPE, &words, &[ROOT]);
    let kinds = [object::UNTYPED, object::SCHED_CONTEXT, object::CAP_TABLE, object::ENDPOINT];
    let sizes = [0, 1, 3, 4, 5, 6, 7, 8, 11, 12, 13, 47, 48, 63, 64, 65, u64::MAX];
    let of_sizes = kinds.iter().flat_map(|&kind| sizes.map(|bits| retype([kind, bits, node, DEPTH, 0, 1])));
    let places = [0, 1, 2, 3, 4, 5, u64::MAX];
    let at_places = places.into_iter().flat_map(|first| {
        let of = |count| retype([object::ENDPOINT, 0, node, DEPTH, first, count]);
        [0, 1, 2, 3, 4, 5, 256, 257, u64::MAX].map(of)
    });
    let depths = [0, 1, 63, 64, 65, u64::MAX];
    let in_nodes = depths.map(|depth| retype([object::ENDPOINT, 0, node, depth, 0, 1]));
    agrees_on_each(world, &[], of_sizes.chain(at_places).chain(in_nodes).collect::<Vec<_>>());
}

#[test]
fn a_context_has_one_notification_and_the_other_way_round() {
    let mut world = stage::bare();
    let contexts = [0; 2].map(|_| world.make(object::SCHED_CONTEXT, 8));
    let bells = [0; 2].map(|_| world.notification());
    let bind = |context, bell| invoke(context, label::SCHED_CONTEXT_BIND, &[], &[bell]);
    let script = [bind(contexts[0], bells[0])];
    let steps = contexts.into_iter().flat_map(|context| bells.map(|bell| bind(context, bell)));
    agrees_on_each(world, &script, steps);
}

#[test]
fn who_is_answered_without_time_waits_for_it_or_faults() {
    for is_heard in [false, true] {
        let mut world = stage::bare();
        let (server, endpoint) = stage::server(&mut world);
        let (client, handler) = (world.thread(201), world.endpoint());
        world.configure(client.sched_context, (40, 100), 0, 0);
        if is_heard {
            world.must(client.cap, label::TCB_SET_TIMEOUT_ENDPOINT, &[], &[handler]);
        }
        stage::lower_root_task(&mut world);
        // The server uses up the client's time, and somebody else answers in its place.
        let microseconds = |span| Step::Pass(span * TIMER_KHZ / 1000);
        let script = [
            Op::plain(syscall::CALL, endpoint, 0).into(),
            microseconds(50),
            Op::plain(syscall::SEND, server.reply, 0).into(),
            microseconds(200),
        ];
        agrees(world, script);
    }
}

#[test]
fn endpoints_die_within_containers() {
    for (depth, preempt_every) in [(1, None), (2, None), (1, Some(1)), (2, Some(1))] {
        let mut world = stage::bare();
        let endpoint = world.endpoint();
        for _ in 0..3 {
            let thread = world.thread(255);
            world.run(thread.tcb);
            world.send(endpoint, 0, &[], &[]);
        }
        world.run_root();
        let mut moved = endpoint;
        for _ in 0..depth {
            let node = world.make(object::CAP_TABLE, 1);
            world.must(node, label::CNODE_MOVE, &[1, 1, moved, DEPTH], &[ROOT]);
            moved = node;
        }
        world.kernel.arch.preempt_every(preempt_every);
        agrees(world, [invoke(ROOT, label::CNODE_DELETE, &[moved, DEPTH], &[])]);
    }
}

#[test]
fn who_receives_in_the_middle_of_a_cancellation_changes_what_comes_next() {
    let stage = Small::Cancelling.stage();
    let [endpoint, badged, .., reply] = stage.slots[..] else { unreachable!("six slots") };
    let cancel = Op::invoke(ROOT, label::CNODE_CANCEL_BADGED_SENDS, &[badged, DEPTH], &[]);
    for point in 1..POINTS {
        for receives in 1..4 {
            let receive = Step::from(Op::plain(syscall::NB_RECV, endpoint, reply));
            let mut script = vec![Step::Interrupted(cancel.clone(), point, Cause::Device(IRQS[0]))];
            script.extend(vec![receive; receives]);
            script.push(Op::plain(syscall::WAIT, badged, 0).into());
            agrees(Small::Cancelling.stage().world, script);
        }
    }
}

#[test]
fn each_capability_to_the_endpoint_itself_arrives_as_its_badge() {
    let mut world = stage::bare();
    let (endpoint, thread, other) = (world.endpoint(), world.thread(255), world.notification());
    let badges = [5, 6, 7].map(|badge| world.mint(endpoint, 15, badge));
    world.run(thread.tcb);
    world.recv(endpoint, thread.reply);
    world.run_root();
    let [a, b, c] = badges;
    let messages = [[a, b, c], [other, b, c], [b, other, c], [a, b, other]];
    let send = |caps: [u64; 3]| Op { caps: caps.to_vec(), ..Op::plain(syscall::SEND, a, 0) }.into();
    agrees_on_each(world, &[], messages.map(send));
}

#[test]
fn a_cancellation_that_is_made_again_with_another_badge_is_another() {
    let mut world = stage::bare();
    let bell = stage::waits_for_interrupt(&mut world);
    let endpoint = world.endpoint();
    let badges = [7, 8].map(|badge| world.mint(endpoint, 15, badge));
    for badged in [badges[0], badges[0], badges[1]] {
        let thread = world.thread(255);
        world.run(thread.tcb);
        world.send(badged, 0, &[], &[]);
        world.must(thread.cap, label::TCB_SET_PRIORITY, &[199], &[slot::INIT_TCB]);
    }
    stage::lower_root_task(&mut world);
    let cnode = |label, words: &[u64]| invoke(ROOT, label, words, &[ROOT]);
    let cancel = Op::invoke(ROOT, label::CNODE_CANCEL_BADGED_SENDS, &[badges[0], DEPTH], &[]);
    let script = [
        Step::Interrupted(cancel, 1, Cause::Device(IRQS[0])),
        // Whoever was woken puts another capability there.
        cnode(label::CNODE_DELETE, &[badges[0], DEPTH]),
        cnode(label::CNODE_COPY, &[badges[0], DEPTH, badges[1], DEPTH, 15]),
        Op::plain(syscall::WAIT, bell, 0).into(),
    ];
    agrees(world, script);
}

#[test]
fn a_capability_that_waits_to_be_sent_is_received() {
    let mut world = stage::bare();
    let (endpoint, sent) = (world.endpoint(), world.notification());
    let sender = world.thread(255);
    world.run(sender.tcb);
    world.send(endpoint, 0, &[1], &[sent]);
    world.run_root();
    let receive = Op { receive_at: world.free_slot(), ..Op::plain(syscall::NB_WAIT, endpoint, 0) };
    agrees(world, [receive.into()]);
}

#[test]
fn times_have_limits() {
    let mut world = stage::bare();
    let context = world.make(object::SCHED_CONTEXT, 8);
    let (control, free) = (world.sched_control, world.free_slot());
    let times = [0, 1, 19, 20, 21, 1000, 1 << 32, (1 << 62) / TIMER_KHZ, u64::MAX / TIMER_KHZ, u64::MAX];
    let configure =
        |words: [u64; 5], cap| invoke(control, label::SCHED_CONTROL_CONFIGURE_FLAGS, &words, &[cap]);
    let of_times = times
        .into_iter()
        .flat_map(|budget| times.map(|period| configure([budget, period, 0, 7, 0], context)));
    let refills = [0, 1, 2, 7, 8, 9, 10, 11, u64::MAX];
    let of_refills = refills
        .into_iter()
        .flat_map(|extra| [0, 1, 2, 3, u64::MAX].map(|flags| configure([30, 50, extra, 7, flags], context)));
    let of_others = [free, slot::INIT_TCB].map(|cap| configure([30, 50, 0, 7, 0], cap));
    agrees_on_each(world, &[], of_times.chain(of_refills).chain(of_others).collect::<Vec<_>>());
}

#[test]
fn the_timetable_has_entries_and_limits() {
    let mut world = stage::bare();
    let thread = world.thread(200);
    let set = |label, words: &[u64], cap: u64| invoke(slot::DOMAIN_SET, label, words, &[cap]);
    let indices = [0, 1, 2, 62, 63, 64, 253, 254, 255, 256, 257, u64::MAX];
    let long = (1 << 56) - 1;
    let durations = [0, 1, 1000, long, long + 1, u64::MAX];
    let configure = |words: [u64; 3]| set(label::DOMAIN_SCHEDULE_CONFIGURE, &words, 0);
    let entries = indices.into_iter().flat_map(|index| {
        durations.into_iter().flat_map(move |ticks| {
            [0, 1, 2, 255, 256].into_iter().map(move |domain| configure([index, domain, ticks]))
        })
    });
    let starts = indices.map(|index| set(label::DOMAIN_SCHEDULE_SET_START, &[index], 0));
    let sets = [0, 1, 2, 255, 256].map(|domain| set(label::DOMAIN_SET_SET, &[domain], thread.cap));
    let others =
        [set(label::DOMAIN_SET_SET, &[0], slot::INIT_CNODE), set(label::DOMAIN_SET_SET, &[], thread.cap)];
    let steps: Vec<Step> = entries.chain(starts).chain(sets).chain(others).collect();
    agrees_on_each(world.clone(), &[], steps.clone());
    // And when a later entry is the one to start with.
    let script = [configure([1, 0, 900]), configure([2, DOMAINS - 1, 700]), starts_at(1)];
    agrees_on_each(world.clone(), &script, steps);
    // One after the other, and from the start again.
    let passes = vec![Step::Pass(500); 8];
    agrees(world, script.into_iter().chain(passes));
}

fn starts_at(index: u64) -> Step {
    invoke(slot::DOMAIN_SET, label::DOMAIN_SCHEDULE_SET_START, &[index], &[])
}

#[test]
fn pages_and_tables_have_places() {
    let Stage { world, slots } = Small::Spaces.stage();
    let &[space, upper, lower, small, large, _, _, copy] = &slots[..] else { unreachable!("eight slots") };
    let (low, high) = (0x20_0000, 1 << 30);
    let top: u64 = 1 << 47;
    let near = [
        [0, 1, 0xfff, 0x1000, low - 0x1000, low],
        [low + 0x1000, high, high + low, 1 << 39, top - low, top - 0x1000],
        [top - 1, top, u64::MAX - 0x1fff, u64::MAX - 0xfff, u64::MAX - 1, u64::MAX],
    ]
    .concat();
    let map = |cap, address, rights, attributes, to| {
        invoke(cap, arch_label::PAGE_MAP, &[address, rights, attributes], &[to])
    };
    let hook = |cap, address, to| invoke(cap, arch_label::PAGE_TABLE_MAP, &[address, 0], &[to]);
    let assign = || invoke(slot::INIT_ASID_POOL, arch_label::ASID_POOL_ASSIGN, &[], &[space]);
    let mut steps = Vec::new();
    for to in [slot::INIT_VSPACE, space, upper] {
        for address in &near {
            steps.extend([small, large].map(|frame| map(frame, *address, 3, 0, to)));
            steps.push(hook(lower, *address, to));
        }
        steps.extend((0..4).map(|rights| map(small, low, rights, 0, to)));
        steps.extend([1, 4, 7, 8, u64::MAX].map(|attributes| map(small, low, 3, attributes, to)));
    }
    for cap in [small, large, upper, lower, copy] {
        steps.push(invoke(cap, arch_label::PAGE_UNMAP, &[], &[]));
        steps.push(invoke(cap, arch_label::PAGE_TABLE_UNMAP, &[], &[]));
        steps.push(invoke(cap, arch_label::PAGE_GET_ADDRESS, &[], &[]));
        steps.push(invoke(ROOT, label::CNODE_DELETE, &[cap, DEPTH], &[]));
    }
    let copies = |cap| invoke(ROOT, label::CNODE_COPY, &[copy, DEPTH, cap, DEPTH, 15], &[ROOT]);
    for script in [
        vec![],
        vec![map(small, low, 3, 0, slot::INIT_VSPACE)],
        vec![map(small, low, 3, 0, slot::INIT_VSPACE), copies(small)],
        vec![assign(), hook(upper, low, space), hook(lower, low, space), copies(lower)],
        vec![assign(), hook(upper, low, space), hook(lower, high, space), map(large, low, 3, 0, space)],
    ] {
        agrees_on_each(world.clone(), &script, steps.clone());
    }
}

#[test]
fn pools_of_identifiers_fill() {
    let mut world = stage::bare();
    let memory = world.untyped(12);
    let (pool, other) = (world.free_slot(), world.free_slot());
    let make = |from, to| {
        invoke(slot::ASID_CONTROL, arch_label::ASID_CONTROL_MAKE_POOL, &[to, DEPTH], &[from, ROOT])
    };
    let assign = |pool, root| invoke(pool, arch_label::ASID_POOL_ASSIGN, &[], &[root]);
    let roots = [0; 4].map(|_| world.make(arch_object::VSPACE, 0));
    let [small, large] = [11, 13].map(|bits| world.untyped(bits));
    let mut steps = vec![make(small, other), make(large, other), make(memory, other), make(memory, pool)];
    steps.extend(
        [pool, slot::INIT_ASID_POOL].into_iter().flat_map(|pool| roots.map(|root| assign(pool, root))),
    );
    steps.extend([memory, pool, roots[0]].map(|cap| invoke(ROOT, label::CNODE_REVOKE, &[cap, DEPTH], &[])));
    steps.extend([pool, roots[0], roots[1]].map(|cap| invoke(ROOT, label::CNODE_DELETE, &[cap, DEPTH], &[])));
    agrees_on_each(world.clone(), &[], steps.clone());
    let script = [make(memory, pool), assign(pool, roots[0]), assign(pool, roots[1])];
    agrees_on_each(world.clone(), &script, steps.clone());
    let script = script.into_iter().chain([invoke(ROOT, label::CNODE_DELETE, &[roots[0], DEPTH], &[])]);
    agrees_on_each(world, &script.collect::<Vec<_>>(), steps);
}

#[test]
fn a_pool_is_not_made_of_a_devices_memory() {
    let mut world = stage::bare();
    let (device, pool) = (world.free_slot(), world.free_slot());
    let words = [object::UNTYPED, 12, 0, 0, device, 1];
    world.must(world.devices, label::UNTYPED_RETYPE, &words, &[ROOT]);
    let words = [pool, DEPTH];
    agrees(world, [invoke(slot::ASID_CONTROL, arch_label::ASID_CONTROL_MAKE_POOL, &words, &[device, ROOT])]);
}

/// What can be done with capabilities that were mapped where now something else is.
fn on_stale(world: World, script: &[Step], stale: &[u64]) {
    let labels = [arch_label::PAGE_UNMAP, arch_label::PAGE_TABLE_UNMAP];
    let unmap = |cap| labels.map(|label| invoke(cap, label, &[], &[]));
    let take = |cap| invoke(ROOT, label::CNODE_DELETE, &[cap, DEPTH], &[]);
    let steps = stale.iter().flat_map(|&cap| unmap(cap).into_iter().chain([take(cap)]));
    agrees_on_each(world, script, steps);
}

fn hook(table: u64, address: u64, space: u64) -> Step {
    invoke(table, arch_label::PAGE_TABLE_MAP, &[address, 0], &[space])
}

fn map(frame: u64, address: u64, space: u64) -> Step {
    invoke(frame, arch_label::PAGE_MAP, &[address, 3, 0], &[space])
}

#[test]
fn another_page_stays_where_a_page_was() {
    let mut world = stage::bare();
    let [upper, lower, other] = [0; 3].map(|_| world.make(arch_object::PAGE_TABLE, 0));
    let [old, new] = [0; 2].map(|_| world.make(arch_object::SMALL_PAGE, 0));
    let (space, address) = (slot::INIT_VSPACE, 1 << 30);
    let script = [
        hook(upper, address, space),
        hook(lower, address, space),
        map(old, address, space),
        invoke(lower, arch_label::PAGE_TABLE_UNMAP, &[], &[]),
        hook(other, address, space),
        map(new, address, space),
    ];
    on_stale(world, &script, &[old, lower]);
}

#[test]
fn another_space_may_have_the_identifier() {
    let mut world = stage::bare();
    let roots = [0; 2].map(|_| world.make(arch_object::VSPACE, 0));
    let tables = [0; 6].map(|_| world.make(arch_object::PAGE_TABLE, 0));
    let pages = [0; 2].map(|_| world.make(arch_object::SMALL_PAGE, 0));
    let address = 1 << 30;
    let mut script = Vec::new();
    for (number, root) in roots.into_iter().enumerate() {
        script.push(invoke(slot::INIT_ASID_POOL, arch_label::ASID_POOL_ASSIGN, &[], &[root]));
        script.extend(tables[3 * number..][..3].iter().map(|table| hook(*table, address, root)));
        script.push(map(pages[number], address, root));
        if number == 0 {
            script.push(invoke(ROOT, label::CNODE_DELETE, &[root, DEPTH], &[]));
        }
    }
    on_stale(world, &script, &[&tables[..3], &pages[..1]].concat());
}

#[test]
fn interrupts_have_numbers() {
    let mut world = stage::bare();
    let to = world.free_slot();
    let numbers =
        [0, 1, 5, 63, 64, 65, 127, 128, 129, 159, 160, 191, 192, 193, 255, 256, 1019, 1020, 1024, u64::MAX];
    let issue = |irq| {
        let with_trigger = arch_label::IRQ_ISSUE_IRQ_HANDLER_TRIGGER;
        let plain = invoke(slot::IRQ_CONTROL, label::IRQ_ISSUE_IRQ_HANDLER, &[irq, to, DEPTH], &[ROOT]);
        [plain, invoke(slot::IRQ_CONTROL, with_trigger, &[irq, 1, to, DEPTH], &[ROOT])]
    };
    agrees_on_each(world, &[], numbers.into_iter().flat_map(issue).collect::<Vec<_>>());
}

#[test]
fn each_right_is_needed_for_something() {
    let mut world = stage::bare();
    let (endpoint, bell, reply) = (world.endpoint(), world.notification(), world.reply());
    let sent = world.endpoint();
    let thread = world.thread(255);
    let mut caps = Vec::new();
    for cap in [endpoint, bell] {
        caps.extend((0..16).map(|rights| world.mint(cap, rights, 9)));
    }
    let numbers = [
        syscall::SEND,
        syscall::NB_SEND,
        syscall::CALL,
        syscall::RECV,
        syscall::NB_RECV,
        syscall::WAIT,
        syscall::NB_WAIT,
        syscall::REPLY_RECV,
    ];
    let steps: Vec<Step> = caps
        .iter()
        .flat_map(|&cap| {
            numbers.map(|number| Op { caps: vec![sent], ..Op::plain(number, cap, reply) }.into())
        })
        .collect();
    agrees_on_each(world.clone(), &[], steps.clone());
    // And when somebody waits there.
    world.run(thread.tcb);
    world.recv(endpoint, thread.reply);
    agrees_on_each(world, &[], steps);
}

#[test]
fn other_numbers_are_faults() {
    let mut world = stage::bare();
    let handler = world.endpoint();
    let caps = [handler, slot::INIT_CNODE, slot::INIT_VSPACE];
    world.must(slot::INIT_TCB, label::TCB_SET_SPACE, &[0, 0], &caps);
    // Some are debug calls, of which one ends the machine.
    for number in (-80..80).filter(|&number| number != syscall::DEBUG_HALT) {
        agrees(world.clone(), [Op::plain(number, handler, 0).into()]);
    }
}

#[test]
fn new_threads_are_of_the_domain_of_the_moment() {
    let mut world = stage::bare();
    let (memory, first) = (world.untyped(14), world.free_slot());
    let _ = [0; 2].map(|_| world.free_slot());
    let other = DOMAINS - 1;
    let thread = world.thread(200);
    let set = |label, words: &[u64]| invoke(slot::DOMAIN_SET, label, words, &[thread.cap]);
    let script = [
        set(label::DOMAIN_SET_SET, &[other]),
        set(label::DOMAIN_SCHEDULE_CONFIGURE, &[1, other, 1 << 30]),
        set(label::DOMAIN_SCHEDULE_SET_START, &[1]),
        invoke(memory, label::UNTYPED_RETYPE, &[object::TCB, 0, 0, 0, first, 3], &[ROOT]),
    ];
    agrees(world, script);
}

#[test]
fn containers_die_within_containers() {
    for (places, preempt_every) in (0..16_u64).flat_map(|places| [(places, None), (places, Some(1))]) {
        let mut world = stage::bare();
        let mut moved = world.endpoint();
        // Each in the first or the last slot of the next.
        for level in 0..4 {
            let node = world.make(object::CAP_TABLE, 1);
            world.must(node, label::CNODE_MOVE, &[places >> level & 1, 1, moved, DEPTH], &[ROOT]);
            moved = node;
        }
        world.kernel.arch.preempt_every(preempt_every);
        agrees(world, [invoke(ROOT, label::CNODE_DELETE, &[moved, DEPTH], &[])]);
    }
}
