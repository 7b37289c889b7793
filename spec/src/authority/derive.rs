// SPDX-License-Identifier: MIT OR Apache-2.0

//! Capabilities from capabilities: copy and mint make a new one, move and mutate carry one to another slot
//! (`semantics.md` §1 and §2).

use super::{Authority, Cap, Outcome, Refusal, one_of};
use crate::algebra::{Algebra, Kind, Rights};

impl<A: Algebra> Authority<A> {
    /// Puts a copy of the capability in `source` into the empty `target`, with no more than `mask` of its rights.
    /// With `data`, the copy is minted: an endpoint or a notification without a badge gets that badge, a CNode gets
    /// that guard.
    pub fn copy(
        &mut self,
        x: &A,
        source: &A::Slot,
        target: &A::Slot,
        mask: &A::Rights,
        data: Option<&A::Data>,
    ) -> Outcome {
        self.require_free(x, target)?;
        if x.decide(self.is_empty(x, source)) {
            return Err(Refusal::Missing);
        }
        let copy = self.derived(x, source, mask, data)?;
        self.insert(x, source, target, copy);
        Ok(())
    }

    /// Carries the capability in `source` to the empty `target`, with its place in the tree. With `data`, a CNode gets
    /// that guard; an endpoint or a notification cannot be changed.
    pub fn move_to(&mut self, x: &A, source: &A::Slot, target: &A::Slot, data: Option<&A::Data>) -> Outcome {
        self.require_free(x, target)?;
        if x.decide(self.is_empty(x, source)) {
            return Err(Refusal::Missing);
        }
        self.mutate(x, source, data)?;
        self.exchange(x, source, target);
        Ok(())
    }

    /// Exchanges two capabilities (Rotate, where the source goes to where the pivot was and the pivot to where the
    /// source was).
    pub fn swap(&mut self, x: &A, a: &A::Slot, b: &A::Slot) -> Outcome {
        if x.decide(self.is_empty(x, a)) || x.decide(self.is_empty(x, b)) {
            return Err(Refusal::Missing);
        }
        self.exchange(x, a, b);
        Ok(())
    }

    /// What a copy of the capability in `source` is.
    pub fn derived(
        &self,
        x: &A,
        source: &A::Slot,
        mask: &A::Rights,
        data: Option<&A::Data>,
    ) -> Outcome<Cap<A>> {
        let mut copy = self.cap(x, source);
        let kind = copy.kind.clone();
        let is = |kinds: &[Kind]| one_of(x, &kind, kinds);
        if x.decide(is(&[Kind::IrqControl, Kind::Zombie])) {
            return Err(Refusal::Illegal);
        }
        if x.decide(is(&[Kind::Untyped])) {
            return if self.has_children(x, source) { Err(Refusal::HasChildren) } else { Ok(copy) };
        }
        if x.decide(is(&[Kind::Endpoint, Kind::Notification])) {
            copy.rights = x.common_rights(&copy.rights, mask);
            if let Some(data) = data {
                if x.decide(x.not(x.same_data(&copy.data, &x.no_data()))) {
                    return Err(Refusal::Illegal);
                }
                copy.data = data.clone();
            }
        } else if x.decide(is(&[Kind::Reply])) {
            copy.rights = x.common_rights(&copy.rights, mask);
        } else if x.decide(is(&[Kind::Frame])) {
            // The copy is not mapped; and there is no writing without reading.
            copy.data = x.no_data();
            copy.rights = x.common_rights(&copy.rights, mask);
            if x.decide(x.not(x.within(&x.rights(Rights::READ), &copy.rights))) {
                copy.rights = x.rights(Rights::default());
            }
        } else if x.decide(is(&[Kind::CNode])) {
            copy.data = data.unwrap_or(&copy.data).clone();
        } else if x.decide(is(&[Kind::Table, Kind::VSpace]))
            && x.decide(x.same_data(&copy.data, &x.no_data()))
        {
            return Err(Refusal::Illegal);
        }
        Ok(copy)
    }

    /// Whether anything is below the capability in `slot`.
    pub fn has_children(&self, x: &A, slot: &A::Slot) -> bool {
        x.find(&|other| self.is_below(x, slot, other)).is_some()
    }

    /// Puts `copy`, derived from what is in `source`, into `target`: below `source` if that is original, else beside
    /// it. A copy that got a badge is original itself, and so is untyped memory, which is from now on used through the
    /// copy.
    fn insert(&mut self, x: &A, source: &A::Slot, target: &A::Slot, copy: Cap<A>) {
        let of = self.cap(x, source);
        let is_untyped = x.same_kind(&copy.kind, &x.kind(Kind::Untyped));
        if x.decide(is_untyped.clone()) {
            let used_up = x.of(&self.bytes, &of.object);
            self.write(x, source, Cap { watermark: used_up, ..of.clone() });
        }
        let has_badge = one_of(x, &copy.kind, &[Kind::Endpoint, Kind::Notification]);
        let got_badge = x.and(has_badge, x.not(x.same_data(&copy.data, &of.data)));
        let parent =
            if x.decide(x.at(&self.original, source)) { source.clone() } else { x.at(&self.parent, source) };
        self.write(x, target, copy);
        self.plant(x, target, &parent, x.or(got_badge, is_untyped));
    }

    /// What Mutate and Rotate do to a capability before they carry it away.
    pub fn mutate(&mut self, x: &A, slot: &A::Slot, data: Option<&A::Data>) -> Outcome {
        let Some(data) = data else { return Ok(()) };
        let cap = self.cap(x, slot);
        if x.decide(one_of(x, &cap.kind, &[Kind::Endpoint, Kind::Notification])) {
            return Err(Refusal::Illegal);
        }
        if x.decide(x.same_kind(&cap.kind, &x.kind(Kind::CNode))) {
            self.write(x, slot, Cap { data: data.clone(), ..cap });
        }
        Ok(())
    }

    /// Exchanges what is in two slots, of which one may be empty. Each capability keeps its place in the tree.
    pub(crate) fn exchange(&mut self, x: &A, a: &A::Slot, b: &A::Slot) {
        let (cap_a, cap_b) = (self.cap(x, a), self.cap(x, b));
        self.set_holder(x, &cap_a.object, b);
        if x.decide(x.not(self.is_empty(x, b))) {
            self.set_holder(x, &cap_b.object, a);
        }
        self.write(x, a, cap_b);
        self.write(x, b, cap_a);
        if x.writes() {
            let (original_a, original_b) = (x.at(&self.original, a), x.at(&self.original, b));
            x.put(&mut self.original, a, original_b);
            x.put(&mut self.original, b, original_a);
        }
        if x.writes() {
            x.exchange_slots(&mut self.parent, a, b);
            x.descent_exchange(&mut self.descent, a, b);
        }
    }

    /// One step of resolving an address: from the capability in `via`, which must be to a CNode, to a slot in it.
    pub fn enter(&self, x: &A, via: &A::Slot, slot: &A::Slot) -> Outcome {
        if x.decide(x.not(self.is(x, via, Kind::CNode))) {
            return Err(Refusal::Illegal);
        }
        if x.decide(x.not(x.same_object(&x.home(slot), &x.at(&self.object, via)))) {
            return Err(Refusal::NoSuchSlot);
        }
        Ok(())
    }

    /// A capability can only be put where there is none, in something that is alive.
    pub(crate) fn require_free(&self, x: &A, target: &A::Slot) -> Outcome {
        if x.decide(x.not(self.is_empty(x, target))) {
            return Err(Refusal::Occupied);
        }
        if x.decide(x.not(self.is_home(x, &x.home(target)))) {
            return Err(Refusal::NoSuchSlot);
        }
        Ok(())
    }
}
