//! Two users and one data directory: the service's and an operator's. It needs root.

use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use harness::exporter::{binary, copy_program};

/// `nobody`, for the service.
const SERVICE: u32 = 65_534;
const RECORD: [&str; 3] = ["record", "--terminal=t1", "--outcome=seen"];

struct Setup {
    directory: tempfile::TempDir,
}

impl Setup {
    /// A data directory of this user, with these rights.
    fn new(owner: u32, mode: u32) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let setup = Self { directory };
        std::fs::set_permissions(setup.directory.path(), PermissionsExt::from_mode(0o755)).unwrap();
        // Every user can run it, wherever it was built.
        copy_program(binary().as_ref(), &setup.path("exporter"));
        let config = "data_directory: kept\nevidence: {terminals: [t1]}\ntargets: []\n";
        std::fs::write(setup.path("ccass.yml"), config).unwrap();
        let kept = setup.path("kept");
        std::fs::create_dir(&kept).unwrap();
        chown(&kept, Some(owner), Some(owner)).unwrap();
        std::fs::set_permissions(&kept, PermissionsExt::from_mode(mode)).unwrap();
        setup
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn run_as(&self, user: u32, arguments: &[&str]) -> Output {
        let user = user.to_string();
        Command::new("setpriv")
            .args(["--reuid", &user, "--regid", &user, "--clear-groups", "--"])
            .arg(self.path("exporter"))
            .arg(format!(
                "--config.file={}",
                self.path("ccass.yml").display()
            ))
            .args(arguments)
            .current_dir(self.directory.path())
            .output()
            .unwrap()
    }
}

fn error_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn service_appends_to_what_root_began() {
    for mode in [0o755, 0o2770] {
        let setup = Setup::new(SERVICE, mode);
        for user in [0, SERVICE, 0] {
            let output = setup.run_as(user, &RECORD);
            assert_eq!(output.status.code(), Some(0), "{}", error_of(&output));
        }
        let evidence = setup.path("kept/evidence");
        let entries = std::fs::read_dir(&evidence).unwrap();
        let files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        assert_eq!(files.len(), 2, "{files:?}");
        for path in files.iter().chain([&evidence]) {
            assert_eq!(path.metadata().unwrap().uid(), SERVICE, "{path:?}");
        }
        let output = setup.run_as(SERVICE, &["evidence", "check"]);
        assert_eq!(output.status.code(), Some(0), "{}", error_of(&output));
    }
}

#[test]
fn root_does_not_write_where_the_service_points_it() {
    let setup = Setup::new(SERVICE, 0o755);
    let evidence = setup.path("kept/evidence");
    std::fs::create_dir(&evidence).unwrap();
    chown(&evidence, Some(SERVICE), Some(SERVICE)).unwrap();
    let secret = setup.path("secret");
    std::os::unix::fs::symlink(&secret, evidence.join("lock")).unwrap();
    let output = setup.run_as(0, &RECORD);
    assert_eq!(output.status.code(), Some(3));
    let error = error_of(&output);
    assert!(
        error.contains("it is a symbolic link; use a regular file"),
        "{error}"
    );
    assert!(!secret.exists());
}

#[test]
fn user_who_may_not_write_gets_the_command_that_works_and_creates_nothing() {
    let setup = Setup::new(0, 0o755);
    let output = setup.run_as(SERVICE, &RECORD);
    assert_eq!(output.status.code(), Some(3));
    let error = error_of(&output);
    assert!(error.starts_with("NOT recorded: cannot make "), "{error}");
    let command = format!(
        "or run: sudo -u root {} --config.file={} record --terminal=t1 --outcome=seen",
        setup.path("exporter").display(),
        setup.path("ccass.yml").display()
    );
    assert!(error.contains(&command), "{error}");
    assert!(is_empty(&setup.path("kept")));
}

fn is_empty(directory: &Path) -> bool {
    std::fs::read_dir(directory).unwrap().next().is_none()
}

#[test]
fn unreadable_evidence_is_an_error_and_not_an_empty_list() {
    for (path, part) in [("kept", "cannot read"), ("kept/evidence", "cannot read ")] {
        let setup = Setup::new(0, 0o755);
        assert_eq!(setup.run_as(0, &RECORD).status.code(), Some(0));
        std::fs::set_permissions(setup.path(path), PermissionsExt::from_mode(0o700)).unwrap();
        for command in ["list", "check", "report"] {
            let output = setup.run_as(SERVICE, &["evidence", command]);
            assert_eq!(output.status.code(), Some(3), "{command}: {output:?}");
            let error = error_of(&output);
            assert!(error.contains(part), "{error}");
            assert!(
                error.contains("belongs to user 0, group 0, mode 700"),
                "{error}"
            );
        }
    }
}

#[test]
fn check_says_who_may_write_into_the_data_directory() {
    let check = |setup: &Setup| {
        let output = setup.run_as(0, &["check"]);
        assert_eq!(output.status.code(), Some(0), "{}", error_of(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let setup = Setup::new(SERVICE, 0o2770);
    let kept = setup.path("kept");
    let text = check(&setup);
    let line = format!(
        "data_directory {}: user nobody ({SERVICE}) and group nogroup ({SERVICE}) may write.",
        kept.display()
    );
    assert!(text.contains(&line), "{text}");
    assert!(!text.contains("not writable"), "{text}");
    // As an earlier version left it.
    std::fs::write(kept.join("state.json"), "{}").unwrap();
    let text = check(&setup);
    let line = format!("run: chown nobody {}", kept.join("state.json").display());
    assert!(text.contains(&line), "{text}");

    let text = check(&Setup::new(SERVICE, 0o777));
    assert!(text.contains("everybody may write"), "{text}");
    std::fs::remove_dir_all(&kept).unwrap();
    let text = check(&setup);
    assert!(
        text.contains("does not exist; the first start creates it"),
        "{text}"
    );
}
