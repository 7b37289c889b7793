// SPDX-License-Identifier: MIT OR Apache-2.0

//! The reading that is proved about: values are terms of the solver.
//!
//! The text of a step is run once for each way its decisions can go. A run follows a *script* of decisions; where the
//! script ends it says yes and notes that no is still to be tried. What a run assumed on its way is asserted. Maps are
//! functions; a write defines the next version of one.
//!
//! No formula has a quantifier, so the solver always knows. There are two scopes:
//! - [`Scope::Any`], to prove. The sorts of slots and objects are uninterpreted: any number of them. What is true of all
//!   slots and objects, a *law*, is told only of those that have a name on the way ([`Symbolic::tell`]). The solver then
//!   knows less than is assumed, so what it proves is proved.
//! - [`Scope::Small`], to refute. Slots and objects are a few named elements, and each law is told of all of them. So
//!   what the solver finds is a state.
//!
//! The reading can also break the text: [`Break`].

mod reading;

use super::breaks::{Break, Place};
use crate::algebra::Algebra;
use crate::authority::Authority;
use easy_smt::{Context, ContextBuilder, Response, SExpr};
use std::cell::{Cell, RefCell};
use std::io;
use std::ops::ControlFlow;

/// How large the systems are that are reasoned about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    /// Of any size.
    Any,
    /// With this many slots (one of them is none) and as many objects (one of them is none).
    Small(usize),
}

/// A map or a relation: the name of the function that it is, and the sorts of its keys and values.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    name: SExpr,
    keys: SExpr,
    values: SExpr,
}

/// One run.
#[derive(Debug, Default)]
struct Run {
    /// The decisions of this run.
    script: Vec<bool>,
    /// How many of them have been taken.
    taken: usize,
    /// How it could be broken.
    breaks: Vec<Break>,
    /// Whether it came to what is broken.
    is_broken: bool,
    /// How many names have been given.
    names: usize,
    /// The names that were given to slots.
    slots: Vec<SExpr>,
    /// The names that were given to objects.
    objects: Vec<SExpr>,
    /// What it took for true of all.
    laws: Vec<Law>,
}

/// What is true of all slots and objects: the name of the predicate, and of how many slots and objects it speaks.
#[derive(Clone, Copy, Debug)]
struct Law {
    name: SExpr,
    slots: usize,
    objects: usize,
}

/// Which laws are told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Laws {
    /// Those of this way only.
    OfThisWay,
    /// All.
    All,
}

/// The algebra of terms.
pub struct Symbolic {
    context: RefCell<Context>,
    scope: Scope,
    broken: Cell<Option<Break>>,
    run: RefCell<Run>,
    /// What is taken for true of all on each way.
    laws: RefCell<Vec<Law>>,
    /// Names for slots and objects that are the same on each way.
    prepared: RefCell<(Vec<SExpr>, Vec<SExpr>)>,
    slot: SExpr,
    object: SExpr,
    fresh: RefCell<Option<SExpr>>,
}

const RIGHTS_BITS: usize = 4;

impl Symbolic {
    /// An algebra with a solver behind it. For an answer it takes no more than `limit` steps of its own, which do not
    /// depend on how busy the machine is.
    pub fn new(scope: Scope, limit: u32) -> io::Result<Self> {
        let mut context = ContextBuilder::new().solver("z3").solver_args(["-smt2", "-in"]).build()?;
        context.set_option(":rlimit", context.numeral(limit))?;
        context.set_option(":random-seed", context.numeral(0))?;
        context.set_logic("ALL")?;
        let (slot, object) = (context.atom("Slot"), context.atom("Object"));
        match scope {
            Scope::Any => {
                context.declare_sort("Slot", 0)?;
                context.declare_sort("Object", 0)?;
                context.declare_const("slot0", slot)?;
                context.declare_const("object0", object)?;
            }
            Scope::Small(size) => {
                for (sort, prefix) in [("Slot", "slot"), ("Object", "object")] {
                    let elements =
                        (0..size).map(|n| context.list(vec![context.atom(format!("{prefix}{n}"))]));
                    let elements = context.list(elements.collect());
                    let sort = context.atom(sort);
                    let sorts = context.list(vec![context.list(vec![sort, context.numeral(0)])]);
                    let declare = context.atom("declare-datatypes");
                    let command = context.list(vec![declare, sorts, context.list(vec![elements])]);
                    context.raw_send(command)?;
                    context.raw_recv()?;
                }
            }
        }
        context.declare_fun("home", vec![slot], object)?;
        Ok(Self {
            context: RefCell::new(context),
            scope,
            broken: Cell::default(),
            run: RefCell::default(),
            laws: RefCell::default(),
            prepared: RefCell::default(),
            slot,
            object,
            fresh: RefCell::default(),
        })
    }

    /// A state of which nothing is known.
    pub fn any_state(&self) -> Authority<Self> {
        let (kind, number, rights, data, truth) =
            (self.int(), self.int(), self.rights_sort(), self.int(), self.context.borrow().bool_sort());
        Authority {
            kind: self.declare("kind", &[self.slot], kind),
            object: self.declare("object", &[self.slot], self.object),
            data: self.declare("data", &[self.slot], data),
            rights: self.declare("rights", &[self.slot], rights),
            watermark: self.declare("watermark", &[self.slot], number),
            original: self.declare("original", &[self.slot], truth),
            parent: self.declare("parent", &[self.slot], self.slot),
            descent: self.declare("below", &[self.slot, self.slot], truth),
            live: self.declare("live", &[self.object], kind),
            start: self.declare("start", &[self.object], number),
            bytes: self.declare("bytes", &[self.object], number),
            holder: self.declare("holder", &[self.object], self.slot),
            caller: self.declare("caller", &[self.object], self.object),
            awaits: self.declare("awaits", &[self.object], self.object),
            receives: self.declare("receives", &[self.object], self.object),
        }
    }

    /// Any slot.
    pub fn any_slot(&self) -> SExpr {
        let prepared = self.prepared.borrow().0.get(self.run.borrow().slots.len()).copied();
        let slot = prepared.unwrap_or_else(|| self.constant("s", self.slot));
        self.run.borrow_mut().slots.push(slot);
        slot
    }

    /// Any object.
    pub fn any_object(&self) -> SExpr {
        let prepared = self.prepared.borrow().1.get(self.run.borrow().objects.len()).copied();
        let object = prepared.unwrap_or_else(|| self.constant("o", self.object));
        self.run.borrow_mut().objects.push(object);
        object
    }

    /// Any number.
    pub fn any_number(&self) -> SExpr {
        self.constant("n", self.int())
    }

    /// Any data word.
    pub fn any_data(&self) -> SExpr {
        self.constant("d", self.int())
    }

    /// Any rights.
    pub fn any_rights(&self) -> SExpr {
        self.constant("r", self.rights_sort())
    }

    /// Any set of objects: the function that says whether one is in it.
    pub fn any_island(&self) -> Function {
        let truth = self.context.borrow().bool_sort();
        self.declare("inside", &[self.object], truth)
    }

    /// Takes something for true.
    pub fn assume(&self, condition: SExpr) {
        self.context.borrow_mut().assert(condition).expect("the solver takes a formula");
    }

    /// Takes a statement about some slots and some objects for true of all, on each way.
    pub fn assume_for_all(
        &self,
        slots: usize,
        objects: usize,
        statement: &dyn Fn(&[SExpr], &[SExpr]) -> SExpr,
    ) {
        let law = self.law(slots, objects, statement);
        self.laws.borrow_mut().push(law);
        self.tell_small(&[law]);
    }

    /// A set of slots.
    pub fn slots_with(&self, property: &dyn Fn(&SExpr) -> SExpr) -> Function {
        let law = self.law(1, 0, &|slots, _| property(&slots[0]));
        Function { name: law.name, keys: self.slot, values: self.context.borrow().bool_sort() }
    }

    /// Whether there is a slot in a set. Only to be shown, not to be assumed: nothing is said if there is one.
    pub fn somewhere(&self, set: &Function) -> SExpr {
        let truth = self.context.borrow().bool_sort();
        let nowhere = self.constant("nowhere", truth);
        self.assume_on_way(&|slot| self.implies(nowhere, self.not(self.apply(set, &[*slot]))));
        self.not(nowhere)
    }

    /// Takes a statement for true of all slots, on this way.
    fn assume_on_way(&self, statement: &dyn Fn(&SExpr) -> SExpr) {
        let law = self.law(1, 0, &|slots, _| statement(&slots[0]));
        self.run.borrow_mut().laws.push(law);
        self.tell_small(&[law]);
    }

    fn law(&self, slots: usize, objects: usize, statement: &dyn Fn(&[SExpr], &[SExpr]) -> SExpr) -> Law {
        let (slot_names, object_names) = (names("a", slots), names("p", objects));
        let atoms = |names: &[String]| -> Vec<SExpr> {
            names.iter().map(|name| self.context.borrow().atom(name.clone())).collect()
        };
        let body = statement(&atoms(&slot_names), &atoms(&object_names));
        let of_slots = slot_names.into_iter().map(|name| (name, self.slot));
        let of_objects = object_names.into_iter().map(|name| (name, self.object));
        let arguments = of_slots.chain(of_objects).collect();
        let name = self.name("law");
        let mut context = self.context.borrow_mut();
        let truth = context.bool_sort();
        let name = context.define_fun(name, arguments, truth, body).expect("the solver takes a definition");
        Law { name, slots, objects }
    }

    /// In a small system, tells laws of everything there is.
    fn tell_small(&self, laws: &[Law]) {
        if let Scope::Small(size) = self.scope {
            let elements = |prefix: &str| -> Vec<_> {
                (0..size).map(|n| self.context.borrow().atom(format!("{prefix}{n}"))).collect()
            };
            self.tell_of(laws, &elements("slot"), &elements("object"));
        }
    }

    /// Tells laws of these slots and objects. (In a small system, all is told already.)
    pub fn tell(&self, laws: Laws, slots: &[SExpr], objects: &[SExpr]) {
        if self.scope == Scope::Any {
            let of_all_ways = (laws == Laws::All).then(|| self.laws.borrow().clone());
            let of_this_way = self.run.borrow().laws.clone();
            let laws: Vec<_> = of_all_ways.into_iter().flatten().chain(of_this_way).collect();
            self.tell_of(&laws, slots, objects);
        }
    }

    fn tell_of(&self, laws: &[Law], slots: &[SExpr], objects: &[SExpr]) {
        let mut told = Vec::new();
        for law in laws {
            for some_slots in choices(law.slots, slots) {
                for some_objects in choices(law.objects, objects) {
                    let arguments: Vec<_> = some_slots.iter().copied().chain(some_objects).collect();
                    told.push(self.call(law.name, arguments));
                }
            }
        }
        if !told.is_empty() {
            let all = self.context.borrow().and_many(told);
            self.assume(all);
        }
    }

    fn call(&self, function: SExpr, arguments: Vec<SExpr>) -> SExpr {
        match arguments.is_empty() {
            true => function,
            false => self.context.borrow().list([vec![function], arguments].concat()),
        }
    }

    /// Prepares names for this many slots and objects, to be given on each way. What is told of them before any way is
    /// gone is told once.
    pub fn prepare_names(&self, slots: usize, objects: usize) -> (Vec<SExpr>, Vec<SExpr>) {
        let names = |prefix, sort, count| (0..count).map(|_| self.constant(prefix, sort)).collect();
        let prepared: (Vec<_>, Vec<_>) = (names("s", self.slot, slots), names("o", self.object, objects));
        *self.prepared.borrow_mut() = prepared.clone();
        let names = self.run.borrow().names;
        *self.run.borrow_mut() = Run { names, ..Run::default() };
        prepared
    }

    /// Whether all names that were given on this way were prepared.
    pub fn are_names_prepared(&self) -> bool {
        let (run, prepared) = (self.run.borrow(), self.prepared.borrow());
        run.slots.len() <= prepared.0.len() && run.objects.len() <= prepared.1.len()
    }

    /// The slots and the objects that have a name on this way.
    pub fn named(&self) -> (Vec<SExpr>, Vec<SExpr>) {
        let run = self.run.borrow();
        (run.slots.clone(), run.objects.clone())
    }

    /// Runs `text` once for each way its decisions can go, each time from a solver state of its own, until it has
    /// enough.
    pub fn each_way(&self, text: &mut dyn FnMut() -> io::Result<ControlFlow<()>>) -> io::Result<()> {
        let mut script = Some(Vec::new());
        while let Some(decisions) = script {
            if self.this_way(decisions, text)?.is_break() {
                break;
            }
            script = next_script(&self.run.borrow().script);
        }
        Ok(())
    }

    /// Runs `text` from a solver state of its own, with these decisions first.
    pub fn this_way<T>(&self, script: Vec<bool>, text: &mut dyn FnMut() -> io::Result<T>) -> io::Result<T> {
        let names = self.run.borrow().names;
        *self.run.borrow_mut() = Run { script, names, ..Run::default() };
        self.in_scope(text)
    }

    /// Runs `text`; what is declared and assumed in it is forgotten afterwards.
    fn in_scope<T>(&self, text: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        self.context.borrow_mut().push()?;
        let result = text()?;
        self.context.borrow_mut().pop()?;
        Ok(result)
    }

    /// Whether `statement` can be false, given what has been taken for true.
    pub fn can_fail(&self, statement: SExpr) -> io::Result<bool> {
        self.in_scope(|| {
            self.assume(self.not(statement));
            self.is_possible()
        })
    }

    /// Whether what has been taken for true can be so. An error if the solver reaches its limit.
    pub fn is_possible(&self) -> io::Result<bool> {
        match self.context.borrow_mut().check()? {
            Response::Sat => Ok(true),
            Response::Unsat => Ok(false),
            Response::Unknown => Err(io::Error::other("it gave up")),
        }
    }

    /// A name for the object that a step makes: any, but not none.
    pub fn fresh_object(&self) -> SExpr {
        let fresh = self.any_object();
        self.assume(self.not(self.equal(fresh, self.no_object())));
        *self.fresh.borrow_mut() = Some(fresh);
        fresh
    }

    /// From now on runs broken text, or as it is again.
    pub fn set_broken(&self, broken: Option<Break>) {
        self.broken.set(broken);
    }

    /// Whether the run came to what is broken.
    pub fn is_broken(&self) -> bool {
        self.run.borrow().is_broken
    }

    /// How what the run came to could be broken.
    pub fn breaks(&self) -> Vec<Break> {
        self.run.borrow().breaks.clone()
    }

    /// The decisions that the run has taken.
    pub fn script(&self) -> Vec<bool> {
        self.run.borrow().script.clone()
    }

    /// The run comes to something that can be broken in these ways. Gives the one in which it is.
    fn comes_to(&self, breaks: &[Break]) -> Option<Break> {
        let mut run = self.run.borrow_mut();
        run.breaks.extend(breaks);
        let broken = self.broken.get().filter(|broken| breaks.contains(broken));
        run.is_broken |= broken.is_some();
        broken
    }

    fn int(&self) -> SExpr {
        self.context.borrow().int_sort()
    }

    fn rights_sort(&self) -> SExpr {
        let context = self.context.borrow();
        context.bit_vec_sort(context.numeral(RIGHTS_BITS))
    }

    fn name(&self, prefix: &str) -> String {
        let mut run = self.run.borrow_mut();
        run.names += 1;
        format!("{prefix}!{}", run.names)
    }

    fn constant(&self, prefix: &str, sort: SExpr) -> SExpr {
        let name = self.name(prefix);
        self.context.borrow_mut().declare_const(name, sort).expect("the solver takes a constant")
    }

    fn declare(&self, prefix: &str, arguments: &[SExpr], values: SExpr) -> Function {
        let name = self.name(prefix);
        let function = self.context.borrow_mut().declare_fun(name, arguments.to_vec(), values);
        Function { name: function.expect("the solver takes a function"), keys: arguments[0], values }
    }

    fn apply(&self, map: &Function, arguments: &[SExpr]) -> SExpr {
        self.call(map.name, arguments.to_vec())
    }

    /// Defines the next version of a map: a function of `arguments`.
    fn define(&self, map: &mut Function, arguments: &[(&str, SExpr)], body: &dyn Fn(&[SExpr]) -> SExpr) {
        let atoms: Vec<_> = arguments.iter().map(|(name, _)| self.context.borrow().atom(*name)).collect();
        let body = body(&atoms);
        let name = self.name("next");
        let arguments = arguments.iter().map(|(name, sort)| ((*name).to_owned(), *sort)).collect();
        let function = self.context.borrow_mut().define_fun(name, arguments, map.values, body);
        map.name = function.expect("the solver takes a definition");
    }

    fn equal(&self, a: SExpr, b: SExpr) -> SExpr {
        self.context.borrow().eq(a, b)
    }

    /// One of two values.
    pub fn choose(&self, condition: SExpr, yes: SExpr, no: SExpr) -> SExpr {
        self.context.borrow().ite(condition, yes, no)
    }

    /// `slot`, with `a` and `b` exchanged.
    fn exchanged(&self, slot: SExpr, a: SExpr, b: SExpr) -> SExpr {
        let otherwise = self.choose(self.equal(slot, b), a, slot);
        self.choose(self.equal(slot, a), b, otherwise)
    }

    /// The next decision of the script, and whether it is taken without looking. Then the script has no choice.
    fn next_decision(&self, place: Place) -> (bool, bool) {
        let broken = self.comes_to(&[Break::Yes(place), Break::No(place)]);
        let mut run = self.run.borrow_mut();
        let index = run.taken;
        run.taken += 1;
        if index >= run.script.len() {
            run.script.push(broken.is_none());
        }
        match broken {
            Some(broken) => (broken == Break::Yes(place), true),
            None => (run.script[index], false),
        }
    }
}

/// The script after one in which each "yes" is still to be tried as "no": depth first.
fn next_script(script: &[bool]) -> Option<Vec<bool>> {
    let last_yes = script.iter().rposition(|&way| way)?;
    let mut next = script[..=last_yes].to_vec();
    next[last_yes] = false;
    Some(next)
}

fn names(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|n| format!("{prefix}{n}")).collect()
}

/// All sequences of `length` of these elements.
fn choices(length: usize, elements: &[SExpr]) -> Vec<Vec<SExpr>> {
    (0..length).fold(vec![Vec::new()], |sequences, _| {
        let longer =
            |sequence: Vec<SExpr>| elements.iter().map(move |&one| [sequence.as_slice(), &[one]].concat());
        sequences.into_iter().flat_map(longer).collect()
    })
}
