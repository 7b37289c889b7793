// SPDX-License-Identifier: MIT OR Apache-2.0

//! Setting up a machine: what is missing is installed, or one line says what to install.
//!
//! Rust targets and components come through rustup, QEMU from Debian's packages. Nothing is asked of the
//! network as long as everything is there.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::machine::Machine;
use crate::{cargo, say};

/// Makes sure that the compiler's libraries for a machine's targets are there.
pub(crate) fn rust_targets(machine: &Machine) -> Result<()> {
    let libraries = sysroot()?.join("lib/rustlib");
    let missing =
        machine.rust_targets().into_iter().filter(|target| !libraries.join(target).join("lib").is_dir());
    let missing: Vec<_> = missing.collect();
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    ensure!(
        find_program("rustup").is_some(),
        "the Rust targets {names} are missing, and there is no rustup to add them; install rustup"
    );
    say!("adding the Rust targets {names}");
    cargo::run(Command::new("rustup").args(["target", "add"]).args(&missing))
}

/// Makes sure that formatter and linter are there.
pub(crate) fn rust_components() -> Result<()> {
    let works = |tool: &str| {
        let mut command = Command::new("cargo");
        let status = command.args([tool, "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    for (tool, component) in [("fmt", "rustfmt"), ("clippy", "clippy")] {
        if works(tool) {
            continue;
        }
        ensure!(find_program("rustup").is_some(), "{component} is missing; install it for this toolchain");
        say!("adding the Rust component {component}");
        cargo::run(Command::new("rustup").args(["component", "add", component]))?;
    }
    Ok(())
}

/// Makes sure that a machine's emulator is there.
pub(crate) fn qemu(machine: &Machine) -> Result<()> {
    if find_program(machine.qemu).is_some() {
        return Ok(());
    }
    let os_release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let is_root = rustix::process::geteuid().is_root();
    match plan(machine, &os_release, is_root, find_program("apt-get").is_some()) {
        Plan::Tell(line) => bail!(line),
        Plan::Install(attempts) => {
            say!("{} is missing: installing {}", machine.qemu, machine.debian_packages.join(" "));
            install(&attempts)?;
        }
    }
    ensure!(find_program(machine.qemu).is_some(), "{} is still missing after its installation", machine.qemu);
    Ok(())
}

/// Makes sure that the solver is there, with which the specification's theorems are proved.
pub(crate) fn solver() -> Result<()> {
    const SOLVER: &str = "z3";
    if find_program(SOLVER).is_some() {
        return Ok(());
    }
    let os_release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let can_install = find_program("apt-get").is_some() && is_debian_like(&os_release);
    ensure!(
        can_install && rustix::process::geteuid().is_root(),
        "{SOLVER} is missing; on Debian run `sudo apt-get install --no-install-recommends {SOLVER}`"
    );
    say!("{SOLVER} is missing: installing it");
    cargo::run(apt_get().arg("update"))?;
    cargo::run(apt_get().args(["install", "-y", "--no-install-recommends", SOLVER]))?;
    ensure!(find_program(SOLVER).is_some(), "{SOLVER} is still missing after its installation");
    Ok(())
}

/// Debian's packages that all emulators of a release share, or that exclude those of other releases.
const SHARED_PARTS: [&str; 3] = ["qemu-utils", "qemu-system-common", "qemu-system-data"];

/// What to do about a missing emulator.
#[derive(Debug, PartialEq, Eq)]
enum Plan {
    /// Try these lists of arguments for `apt-get install` until one works.
    Install(Vec<Vec<String>>),
    /// Say this.
    Tell(String),
}

fn plan(machine: &Machine, os_release: &str, is_root: bool, has_apt: bool) -> Plan {
    let packages = machine.debian_packages.join(" ");
    if !has_apt || !is_debian_like(os_release) {
        return Plan::Tell(format!(
            "{} is missing; install QEMU (Debian calls the packages {packages})",
            machine.qemu
        ));
    }
    if !is_root {
        return Plan::Tell(format!(
            "{} is missing; run `sudo apt-get install --no-install-recommends {packages}`",
            machine.qemu
        ));
    }
    let arguments = |extra: &[&str]| -> Vec<String> {
        let common = ["install", "-y", "--no-install-recommends"];
        let words = common.iter().chain(extra).chain(machine.debian_packages);
        words.map(|word| (*word).to_owned()).collect()
    };
    let mut attempts = vec![arguments(&[])];
    if let Some(codename) = value(os_release, "VERSION_CODENAME") {
        // Parts of a newer QEMU, backported, shut out the release's own emulator until they come from the
        // release as well.
        let parts = SHARED_PARTS.map(|part| format!("{part}/{codename}"));
        let [utils, common, data] = &parts;
        attempts.push(arguments(&["--allow-downgrades", utils, common, data]));
    }
    Plan::Install(attempts)
}

fn install(attempts: &[Vec<String>]) -> Result<()> {
    cargo::run(apt_get().arg("update"))?;
    let mut result = Ok(());
    for arguments in attempts {
        if let Err(error) = &result {
            say!("{error}; trying again with all of QEMU from this release");
        }
        result = cargo::run(apt_get().args(arguments));
        if result.is_ok() {
            break;
        }
    }
    result.context("cannot install QEMU")
}

fn apt_get() -> Command {
    let mut command = Command::new("apt-get");
    command.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    command
}

fn is_debian_like(os_release: &str) -> bool {
    ["ID", "ID_LIKE"]
        .iter()
        .filter_map(|key| value(os_release, key))
        .any(|value| value.split_whitespace().any(|word| word == "debian"))
}

/// The value of a key in the form of `/etc/os-release`.
fn value<'a>(os_release: &'a str, key: &str) -> Option<&'a str> {
    let values = os_release.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    values.map(|value| value.trim_matches('"')).next()
}

fn sysroot() -> Result<PathBuf> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).args(["--print", "sysroot"]).output().context("cannot start rustc")?;
    ensure!(output.status.success(), "rustc does not say where its libraries are");
    let path = String::from_utf8(output.stdout).context("rustc's directory has a strange name")?;
    Ok(PathBuf::from(path.trim_end()))
}

fn find_program(name: &str) -> Option<PathBuf> {
    let directories = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&directories).map(|directory| directory.join(name)).find(|path| is_executable(path))
}

fn is_executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::Arch;

    const DEBIAN: &str = "PRETTY_NAME=\"Debian GNU/Linux 12\"\nVERSION_CODENAME=bookworm\nID=debian\n";
    const UBUNTU: &str = "ID=ubuntu\nID_LIKE=debian\nVERSION_CODENAME=noble\n";
    const FEDORA: &str = "ID=fedora\n";

    fn plan_on(os_release: &str, is_root: bool, has_apt: bool) -> Plan {
        plan(Arch::Aarch64.machine(), os_release, is_root, has_apt)
    }

    #[test]
    fn root_on_debian_installs_and_has_a_second_way() {
        let Plan::Install(attempts) = plan_on(DEBIAN, true, true) else { panic!("no installation") };
        let lines: Vec<_> = attempts.iter().map(|attempt| attempt.join(" ")).collect();
        assert_eq!(
            lines,
            [
                "install -y --no-install-recommends qemu-system-arm",
                "install -y --no-install-recommends --allow-downgrades qemu-utils/bookworm \
                 qemu-system-common/bookworm qemu-system-data/bookworm qemu-system-arm"
            ]
        );
        assert!(matches!(plan_on(UBUNTU, true, true), Plan::Install(_)));
        assert_eq!(
            plan_on("ID=debian", true, true),
            Plan::Install(vec![attempts[0].clone()]),
            "a release without a codename has one way"
        );
    }

    #[test]
    fn others_get_one_line() {
        for (os_release, is_root, has_apt) in
            [(DEBIAN, false, true), (FEDORA, true, false), (FEDORA, true, true), ("", true, true)]
        {
            let Plan::Tell(line) = plan_on(os_release, is_root, has_apt) else { panic!("{os_release}") };
            assert!(line.contains("qemu-system-arm") && !line.contains('\n'), "{line}");
        }
    }

    #[test]
    fn programs_are_found_where_a_shell_finds_them() {
        assert!(find_program("sh").is_some());
        assert!(find_program("no-such-program").is_none());
    }
}
