// SPDX-License-Identifier: MIT OR Apache-2.0

//! Objects from untyped memory (`semantics.md` §3).
//!
//! Below the watermark of an untyped, memory has been given away; above, it is free. An untyped from which nothing is
//! derived any more is *reset*: all of it is free again, piece by piece from its end on. A retype is a reset where
//! possible, and then one [`Authority::create`] for each object.

use super::{Authority, Cap, Outcome, Refusal, one_of};
use crate::algebra::{Algebra, Kind, Rights};

impl<A: Algebra> Authority<A> {
    /// All but the first `left` bytes of the untyped in `untyped` are free again, because nothing is below it.
    pub fn reset(&mut self, x: &A, untyped: &A::Slot, left: &A::Number) -> Outcome {
        if x.decide(x.not(self.is(x, untyped, Kind::Untyped))) {
            return Err(Refusal::Illegal);
        }
        if self.has_children(x, untyped) {
            return Err(Refusal::HasChildren);
        }
        let cap = self.cap(x, untyped);
        let frees = x.and(x.at_most(&x.number(0), left), x.at_most(left, &cap.watermark));
        if x.decide(x.not(frees)) {
            return Err(Refusal::NotEnoughMemory);
        }
        self.write(x, untyped, Cap { watermark: left.clone(), ..cap });
        Ok(())
    }

    /// Makes one object of `kind` with `bytes` bytes out of the untyped in `untyped`, and puts the first capability to
    /// it into the empty `target`. Gives the object.
    pub fn create(
        &mut self,
        x: &A,
        untyped: &A::Slot,
        target: &A::Slot,
        kind: &A::Kind,
        rights: &A::Rights,
        bytes: &A::Number,
    ) -> Outcome<A::Object> {
        self.require_free(x, target)?;
        if x.decide(x.not(self.is(x, untyped, Kind::Untyped))) {
            return Err(Refusal::Illegal);
        }
        let of = self.cap(x, untyped);
        let first = x.align_up(&of.watermark, bytes);
        let end = x.plus(&first, bytes);
        if x.decide(x.not(x.at_most(&end, &x.of(&self.bytes, &of.object)))) {
            return Err(Refusal::NotEnoughMemory);
        }
        let start = x.plus(&x.of(&self.start, &of.object), &first);
        self.write(x, untyped, Cap { watermark: end, ..of });
        let object = x.new_object(kind, &start, bytes);
        self.bring_to_life(x, &object, kind, &start, bytes, target);
        let cap = Cap {
            kind: kind.clone(),
            object: object.clone(),
            data: x.no_data(),
            rights: rights.clone(),
            watermark: x.number(0),
        };
        self.write(x, target, cap);
        // Of pools of identifiers there are copies, but none derived from another.
        let is_original = x.not(x.same_kind(kind, &x.kind(Kind::AsidPool)));
        self.plant(x, target, untyped, is_original);
        Ok(object)
    }

    /// Makes the handler of the interrupt `handler`, which must have none, with the authority in `control`, and puts
    /// the first capability to it into the empty `target`.
    pub fn issue(&mut self, x: &A, control: &A::Slot, handler: &A::Object, target: &A::Slot) -> Outcome {
        if x.decide(x.not(self.is(x, control, Kind::IrqControl))) {
            return Err(Refusal::Illegal);
        }
        if x.decide(self.is_live(x, handler)) {
            return Err(Refusal::HasChildren);
        }
        self.require_free(x, target)?;
        let (kind, nothing) = (x.kind(Kind::IrqHandler), x.number(0));
        self.bring_to_life(x, handler, &kind, &nothing, &nothing, target);
        let rights = x.rights(Rights::ALL);
        let cap = Cap { kind, object: handler.clone(), data: x.no_data(), rights, watermark: nothing };
        self.write(x, target, cap);
        self.plant(x, target, control, x.truth(true));
        Ok(())
    }

    /// Notes in the capability in `slot` where its frame or its table is mapped, or which identifier its address space
    /// has. No `data` is for nowhere.
    pub fn map(&mut self, x: &A, slot: &A::Slot, data: &A::Data) -> Outcome {
        let cap = self.cap(x, slot);
        if x.decide(x.not(one_of(x, &cap.kind, &[Kind::Frame, Kind::Table, Kind::VSpace]))) {
            return Err(Refusal::Illegal);
        }
        self.write(x, slot, Cap { data: data.clone(), ..cap });
        Ok(())
    }

    fn bring_to_life(
        &mut self,
        x: &A,
        object: &A::Object,
        kind: &A::Kind,
        start: &A::Number,
        bytes: &A::Number,
        holder: &A::Slot,
    ) {
        self.set_live(x, object, kind);
        if x.writes() {
            x.set(&mut self.start, object, start.clone());
            x.set(&mut self.bytes, object, bytes.clone());
        }
        self.set_holder(x, object, holder);
    }
}
