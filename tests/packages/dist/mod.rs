//! What takes minutes: a second build of the same commit, a fresh Debian. `make dist-test` runs it.

mod debian;

use harness::documents::repository;
use harness::exporter::release_binary;

use crate::{artifact, shell};

/// Builds the whole Dockerfile in the clone `another/place`. Its builder image, which needs no download, is
/// an empty one in which this machine's own compilers are mounted.
const DOCKER_BUILD: &str = r#"
export BUILDAH_ISOLATION=chroot
buildah="buildah --storage-driver vfs --root $PWD/storage --runroot $PWD/run"
cargo=${CARGO_HOME:-$HOME/.cargo}
rust=$(rustc --print sysroot)
mkdir -p builder/{root,tmp,etc}
for directory in bin sbin lib lib64; do ln -s usr/$directory builder/$directory; done
container=$($buildah from scratch)
$buildah copy --quiet $container builder /
$buildah config --env PATH=$rust/bin:$cargo/bin:/usr/bin:/bin --env CARGO_HOME=$cargo $container
$buildah commit --quiet $container builder
volumes=
for directory in /usr /etc/alternatives /etc/ssl $rust; do
  volumes="$volumes --volume $directory:$directory:ro"
done
$buildah bud --build-arg BUILDER=localhost/builder $volumes --volume $cargo:$cargo \
  --tag whole --file another/place/Dockerfile another/place >build.log 2>&1 || { tail -n 20 build.log; exit 1; }
image=$($buildah from whole)
cp $($buildah mount $image)/usr/bin/ccass-2fa-exporter .
$buildah umount $image
"#;

/// The second build is that of the Dockerfile's first stage, in a clone of the repository.
#[test]
fn dockerfile_builds_the_same_program_and_packages_from_a_clone() {
    let directory = tempfile::tempdir().unwrap();
    let clone = directory.path().join("another/place");
    shell(
        &repository("."),
        &format!("git clone --quiet . {}", clone.display()),
    );
    let again = directory.path().join("ccass-2fa-exporter");
    shell(directory.path(), DOCKER_BUILD);
    assert!(std::fs::read(&again).unwrap() == std::fs::read(release_binary()).unwrap());
    // The same binary gives the same packages, SBOM and image, without a network.
    shell(
        &clone,
        &format!(
            "unshare --net deploy/packages/build.sh {binary} dist deb rpm tarball sbom; \
             unshare --net deploy/image/build.sh {binary} dist/ccass-2fa-exporter-image.tar",
            binary = again.display()
        ),
    );
    for (start, end) in [
        ("ccass-2fa-exporter_", ".deb"),
        ("ccass-2fa-exporter-", ".rpm"),
        ("ccass-2fa-exporter-", ".tar.gz"),
        ("ccass-2fa-exporter-", ".cdx.json"),
        ("ccass-2fa-exporter-image", ".tar"),
    ] {
        let first = artifact(start, end);
        let second = clone.join("dist").join(first.file_name().unwrap());
        let same = std::fs::read(&first).unwrap() == std::fs::read(&second).unwrap();
        assert!(same, "{} differs", first.display());
    }
}

#[test]
fn signed_release_is_verified_and_an_altered_one_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let dist = directory.path().join("dist");
    shell(
        &repository("."),
        &format!("cp --recursive dist {}", dist.display()),
    );
    let key = directory.path().join("key");
    shell(
        directory.path(),
        "minisign -G -W -p key.pub -s key >/dev/null; minisign -G -W -p other.pub -s other >/dev/null",
    );
    let (sign, verify) = (repository("deploy/sign.sh"), repository("deploy/verify.sh"));
    let verify = format!("{} {} 2>&1", verify.display(), dist.display());
    shell(
        directory.path(),
        &format!(
            "MINISIGN_KEY={} {} {}",
            key.display(),
            sign.display(),
            dist.display()
        ),
    );
    let path = directory.path().display();
    let report = shell(
        directory.path(),
        &verify.replace("2>&1", &format!("{path}/key.pub 2>&1")),
    );
    for part in [
        "signature    valid",
        "the same in tarball, deb, rpm and image",
        "SBOM",
    ] {
        assert!(report.contains(part), "{report}");
    }
    let refused = |change: &str, key: &str, error: &str| {
        let script = format!(
            "cp --recursive {dist} altered; cd altered; {change}; cd ..; \
             ! {} altered {key} 2>&1; rm -r altered",
            repository("deploy/verify.sh").display(),
            dist = dist.display(),
        );
        let report = shell(directory.path(), &script);
        assert!(report.contains(error), "{change}: {report}");
    };
    let key = format!("{path}/key.pub");
    refused(
        ":",
        &format!("{path}/other.pub"),
        "the signature of SHA256SUMS is not that of",
    );
    refused(
        "rm SHA256SUMS.minisig",
        &key,
        "SHA256SUMS.minisig is missing",
    );
    refused(
        "echo >>*.deb",
        &key,
        "a file is not the one that was released",
    );
    refused(
        "sha256sum *.deb >SHA256SUMS",
        &key,
        "the signature of SHA256SUMS is not that of",
    );
    refused("touch more.deb", &key, "more.deb is not listed");
}
