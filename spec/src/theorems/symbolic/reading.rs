// SPDX-License-Identifier: MIT OR Apache-2.0

//! The operations of the algebra, on terms.

use super::{Function, RIGHTS_BITS, Symbolic};
use crate::algebra::{Algebra, Kind, Map, Rights};
use crate::theorems::breaks::Break;
use easy_smt::SExpr;
use std::panic::Location;

impl Algebra for Symbolic {
    type Bool = SExpr;
    type Slot = SExpr;
    type Object = SExpr;
    type Number = SExpr;
    type Data = SExpr;
    type Rights = SExpr;
    type Kind = SExpr;
    type KindAt = Function;
    type ObjectAt = Function;
    type DataAt = Function;
    type RightsAt = Function;
    type NumberAt = Function;
    type BoolAt = Function;
    type SlotAt = Function;
    type KindOf = Function;
    type NumberOf = Function;
    type SlotOf = Function;
    type ObjectOf = Function;
    type Descent = Function;

    fn decide(&self, condition: SExpr) -> bool {
        let (way, is_broken) = self.next_decision(Location::caller());
        if !is_broken {
            self.assume(if way { condition } else { self.not(condition) });
        }
        way
    }

    fn find(&self, property: &dyn Fn(&SExpr) -> SExpr) -> Option<SExpr> {
        let (way, is_broken) = self.next_decision(Location::caller());
        if way {
            let found = self.any_slot();
            if !is_broken {
                self.assume(property(&found));
            }
            return Some(found);
        }
        if !is_broken {
            self.assume_on_way(&|slot| self.not(property(slot)));
        }
        None
    }

    fn writes(&self) -> bool {
        self.comes_to(&[Break::Forgotten(Location::caller())]).is_none()
    }

    fn truth(&self, value: bool) -> SExpr {
        let context = self.context.borrow();
        if value { context.true_() } else { context.false_() }
    }

    fn not(&self, a: SExpr) -> SExpr {
        self.context.borrow().not(a)
    }

    fn and(&self, a: SExpr, b: SExpr) -> SExpr {
        self.context.borrow().and(a, b)
    }

    fn or(&self, a: SExpr, b: SExpr) -> SExpr {
        self.context.borrow().or(a, b)
    }

    fn same_slot(&self, a: &SExpr, b: &SExpr) -> SExpr {
        self.equal(*a, *b)
    }

    fn same_object(&self, a: &SExpr, b: &SExpr) -> SExpr {
        self.equal(*a, *b)
    }

    fn home(&self, slot: &SExpr) -> SExpr {
        let context = self.context.borrow();
        context.list(vec![context.atom("home"), *slot])
    }

    fn no_slot(&self) -> SExpr {
        self.context.borrow().atom("slot0")
    }

    fn no_object(&self) -> SExpr {
        self.context.borrow().atom("object0")
    }

    /// The name prepared with [`Symbolic::fresh_object`].
    fn new_object(&self, _kind: &SExpr, _start: &SExpr, _bytes: &SExpr) -> SExpr {
        self.fresh.borrow().expect("a name has been prepared")
    }

    fn kind(&self, kind: Kind) -> SExpr {
        self.context.borrow().numeral(kind as usize)
    }

    fn same_kind(&self, a: &SExpr, b: &SExpr) -> SExpr {
        self.equal(*a, *b)
    }

    fn rights(&self, rights: Rights) -> SExpr {
        self.context.borrow().binary(RIGHTS_BITS, rights.0)
    }

    fn common_rights(&self, rights: &SExpr, mask: &SExpr) -> SExpr {
        let place = Location::caller();
        match self.comes_to(&[Break::NotMasked(place), Break::OnlyMask(place)]) {
            Some(Break::NotMasked(_)) => *rights,
            Some(_) => *mask,
            None => self.context.borrow().bvand(*rights, *mask),
        }
    }

    fn within(&self, inner: &SExpr, outer: &SExpr) -> SExpr {
        let context = self.context.borrow();
        context.eq(context.bvand(*inner, *outer), *inner)
    }

    fn no_data(&self) -> SExpr {
        self.number(0)
    }

    fn same_data(&self, a: &SExpr, b: &SExpr) -> SExpr {
        self.equal(*a, *b)
    }

    fn number(&self, number: u64) -> SExpr {
        self.context.borrow().numeral(number)
    }

    fn plus(&self, a: &SExpr, b: &SExpr) -> SExpr {
        self.context.borrow().plus(*a, *b)
    }

    fn at_most(&self, a: &SExpr, b: &SExpr) -> SExpr {
        self.context.borrow().lte(*a, *b)
    }

    /// Any number from `number` on: nothing proved depends on which.
    fn align_up(&self, number: &SExpr, _unit: &SExpr) -> SExpr {
        let aligned = self.any_number();
        self.assume(self.at_most(number, &aligned));
        aligned
    }

    fn rename_values(&self, map: &mut Function, old: &SExpr, new: &SExpr) {
        let before = *map;
        self.define(map, &[("k", self.slot)], &|k| {
            let value = self.apply(&before, k);
            self.choose(self.equal(value, *old), *new, value)
        });
    }

    fn exchange_slots(&self, map: &mut Function, a: &SExpr, b: &SExpr) {
        let before = *map;
        self.define(map, &[("k", self.slot)], &|k| {
            let value = self.apply(&before, &[self.exchanged(k[0], *a, *b)]);
            self.exchanged(value, *a, *b)
        });
    }

    fn is_below(&self, descent: &Function, _parent: &Function, upper: &SExpr, lower: &SExpr) -> SExpr {
        self.apply(descent, &[*upper, *lower])
    }

    fn descent_add(&self, descent: &mut Function, new: &SExpr, parent: &SExpr) {
        let before = *descent;
        self.define(descent, &[("u", self.slot), ("l", self.slot)], &|k| {
            let is_parent = self.equal(k[0], *parent);
            let is_above = self.or(is_parent, self.apply(&before, &[k[0], *parent]));
            let has_parent = self.not(self.equal(*parent, self.no_slot()));
            let is_new = self.equal(k[1], *new);
            self.choose(is_new, self.and(has_parent, is_above), self.apply(&before, k))
        });
    }

    fn descent_remove(&self, descent: &mut Function, old: &SExpr) {
        let before = *descent;
        self.define(descent, &[("u", self.slot), ("l", self.slot)], &|k| {
            let is_old = self.or(self.equal(k[0], *old), self.equal(k[1], *old));
            self.and(self.not(is_old), self.apply(&before, k))
        });
    }

    fn descent_exchange(&self, descent: &mut Function, a: &SExpr, b: &SExpr) {
        let before = *descent;
        self.define(descent, &[("u", self.slot), ("l", self.slot)], &|k| {
            self.apply(&before, &[self.exchanged(k[0], *a, *b), self.exchanged(k[1], *a, *b)])
        });
    }
}

impl Map<Symbolic, SExpr, SExpr> for Function {
    fn get(&self, x: &Symbolic, key: &SExpr) -> SExpr {
        x.apply(self, &[*key])
    }

    fn set(&mut self, x: &Symbolic, key: &SExpr, value: SExpr) {
        let before = *self;
        x.define(self, &[("k", before.keys)], &|k| x.choose(x.equal(k[0], *key), value, x.apply(&before, k)));
    }
}
