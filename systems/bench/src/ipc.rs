// SPDX-License-Identifier: MIT OR Apache-2.0

//! System calls alone, messages and signals between two threads, and Yield.

use keel::boot::CNODE;
use keel::cap::CPtr;
use keel_abi::syscall::{CALL, NB_SEND, NB_WAIT, RECV, REPLY_RECV, SEND, WAIT, YIELD};

use crate::pair::{self, HIGHER, LOWER, Manner, Server};
use crate::report::operations;
use crate::window::{self, CLIENT, Call, SERVER, between};

const NO_WORDS: [u64; 4] = [0; 4];
const WORDS: [u64; 4] = [1, 2, 3, 4];

/// All of them.
pub fn measure(server: &mut Server) -> keel::Result {
    alone()?;
    calls(server)?;
    sends(server)?;
    signals(server)?;
    yields(server)
}

/// Calls that switch to nobody.
fn alone() -> keel::Result {
    let nothing = Call::on(CPtr::NULL);
    let nb_send = alone_in_window::<NB_SEND>;
    let call = alone_in_window::<CALL>;
    let send = alone_in_window::<SEND>;
    let nb_wait = alone_in_window::<NB_WAIT>;
    let wait = alone_in_window::<WAIT>;
    operations(["null_nbsend_nullcap"], || nb_send(nothing))?;
    operations(["null_call_nullcap"], || call(nothing))?;

    let done = Call::on(pair::done().cptr());
    operations(["nbwait_idle_ntfn"], || nb_wait(done))?;
    operations(["nbwait_active_ntfn"], || {
        pair::done().signal();
        nb_wait(done)
    })?;
    operations(["wait_active_ntfn"], || {
        pair::done().signal();
        wait(done)
    })?;
    operations(["signal_no_waiter"], || send(done))?;
    pair::done().poll();
    Ok(())
}

#[inline(always)]
fn alone_in_window<const NUMBER: i64>(call: Call) -> keel::Result<[u64; 1]> {
    window::call::<NUMBER>(&CLIENT, call, NO_WORDS);
    Ok([between(&CLIENT, &CLIENT)])
}

/// A server that answers messages of `LENGTH` words.
extern "C" fn answer<const LENGTH: usize, const FPU: bool>() -> ! {
    let call = Call::on(pair::endpoint().cptr()).reply(pair::reply().cptr()).length(LENGTH);
    window::finish::<RECV>(&SERVER, call, NO_WORDS);
    loop {
        if FPU {
            window::touch_fpu();
        }
        window::call::<REPLY_RECV>(&SERVER, call, WORDS);
    }
}

/// Call and ReplyRecv.
fn calls(server: &mut Server) -> keel::Result {
    let (passive, active) = (Manner::PASSIVE, Manner::ACTIVE);
    let home = Manner { at_home: true, ..passive };
    let fpu = Manner { fpu: true, ..passive };
    calls_of::<0, false>(server, passive, ["call_0_passive", "replyrecv_0_passive"])?;
    calls_of::<0, true>(server, fpu, ["call_0_fpu_both", "replyrecv_0_fpu_both"])?;
    calls_of::<0, false>(server, home, ["call_0_same_vspace", "replyrecv_0_same_vspace"])?;
    calls_of::<4, false>(server, passive, ["call_4_passive", "replyrecv_4_passive"])?;
    calls_of::<0, false>(server, active, ["call_0_active", "replyrecv_0_active"])?;
    calls_of::<10, false>(server, active, ["call_10_active", "replyrecv_10_active"])?;
    calls_of::<10, false>(server, passive, ["call_10_passive", "replyrecv_10_passive"])
}

fn calls_of<const LENGTH: usize, const FPU: bool>(
    server: &mut Server,
    manner: Manner,
    names: [&str; 2],
) -> keel::Result {
    server.start(answer::<LENGTH, FPU>, manner)?;
    let call = Call::on(pair::endpoint().cptr()).length(LENGTH);
    operations(names, || {
        if FPU {
            window::touch_fpu();
        }
        window::call::<CALL>(&CLIENT, call, WORDS);
        Ok([between(&CLIENT, &SERVER), between(&SERVER, &CLIENT)])
    })?;
    server.stop()
}

/// A server that receives.
extern "C" fn receive() -> ! {
    let call = Call::on(pair::endpoint().cptr()).reply(pair::reply().cptr());
    window::finish::<RECV>(&SERVER, call, NO_WORDS);
    loop {
        window::call::<RECV>(&SERVER, call, NO_WORDS);
    }
}

/// Send.
fn sends(server: &mut Server) -> keel::Result {
    server.start(receive, Manner { priority: HIGHER, ..Manner::ACTIVE })?;
    let call = Call::on(pair::endpoint().cptr());
    operations(["send_to_higher", "recv_block_to_lower"], || {
        window::call::<SEND>(&CLIENT, call, NO_WORDS);
        Ok([between(&CLIENT, &SERVER), between(&SERVER, &CLIENT)])
    })?;
    server.stop()
}

/// A server that waits.
extern "C" fn wait() -> ! {
    let call = Call::on(pair::notification().cptr());
    window::finish::<WAIT>(&SERVER, call, NO_WORDS);
    loop {
        window::call::<WAIT>(&SERVER, call, NO_WORDS);
    }
}

/// A server that waits and lets the client know.
extern "C" fn wait_and_tell() -> ! {
    loop {
        pair::notification().wait();
        pair::done().signal();
    }
}

/// Signal and Wait.
fn signals(server: &mut Server) -> keel::Result {
    server.start(wait, Manner { priority: HIGHER, ..Manner::ACTIVE })?;
    let call = Call::on(pair::notification().cptr());
    operations(["signal_to_higher", "wait_block_to_lower"], || {
        window::call::<SEND>(&CLIENT, call, NO_WORDS);
        Ok([between(&CLIENT, &SERVER), between(&SERVER, &CLIENT)])
    })?;
    server.start(wait_and_tell, Manner { priority: LOWER, ..Manner::ACTIVE })?;
    operations(["signal_to_lower_noswitch"], || {
        window::call::<SEND>(&CLIENT, call, NO_WORDS);
        pair::done().wait();
        Ok([between(&CLIENT, &CLIENT)])
    })?;
    server.stop()
}

/// A server that yields, once it has been woken.
extern "C" fn take_turns() -> ! {
    pair::notification().wait();
    let call = Call::on(CNODE.cptr());
    loop {
        window::call::<YIELD>(&SERVER, call, NO_WORDS);
    }
}

/// Yield.
fn yields(server: &mut Server) -> keel::Result {
    let call = Call::on(CNODE.cptr());
    operations(["yield_alone"], || {
        window::call::<YIELD>(&CLIENT, call, NO_WORDS);
        Ok([between(&CLIENT, &CLIENT)])
    })?;
    server.start(take_turns, Manner::ACTIVE)?;
    pair::notification().signal();
    operations(["yield_pair_switch", "yield_pair_switch_back"], || {
        window::call::<YIELD>(&CLIENT, call, NO_WORDS);
        Ok([between(&CLIENT, &SERVER), between(&SERVER, &CLIENT)])
    })?;
    server.stop()
}
