# What the scripts here share. To be sourced by bash, from scripts in this directory.

# Ends with a sentence.
die() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# Runs one step under a heading, so that a log shows which one failed.
step() {
    printf '\n== %s\n' "$*"
    "$@" || die "failed: $*"
}

# The tool that a package is missed for, and the package: `TOOL PACKAGE`.
needed='sshd openssh-server
ssh openssh-client
ssh-keygen openssh-client
php php-cli
nginx nginx-light
sudo sudo
unshare util-linux
strace strace
tmux tmux
setpriv util-linux
openssl openssl
victoria-metrics victoria-metrics
prometheus prometheus
carbon-cache graphite-carbon
graphite-manage graphite-web
python3 python3
chromium chromium
chromedriver chromium-driver
curl curl
zsh zsh
fish fish
msmtp msmtp
/usr/lib/nagios/plugins/check_load monitoring-plugins-basic'

# Installs what the tests need and this machine lacks. The tests run real sshd processes, each in a mount namespace of
# its own, so they need root too; without it they refuse and say so.
install_needed() {
    local tool package missing=()
    PATH="$PATH:/usr/sbin:/sbin"
    while read -r tool package; do
        command -v "$tool" >/dev/null || missing+=("$package")
    done <<<"$needed"
    # On Debian its programs are on no path.
    compgen -G '/usr/lib/postgresql/*/bin/postgres' >/dev/null || missing+=(postgresql)
    python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
    if [ "${#missing[@]}" -gt 0 ]; then
        [ "$(id -u)" -eq 0 ] || die "these packages are missing: ${missing[*]}; install them, or run this as root"
        command -v apt-get >/dev/null || die "these packages are missing, and there is no apt-get: ${missing[*]}"
        printf '== installing %s\n' "${missing[*]}"
        apt-get update -qq || die 'apt-get update failed'
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null ||
            die "apt-get install failed: ${missing[*]}"
    fi
    # Where sshd wants an empty directory that only its package's service makes.
    [ "$(id -u)" -ne 0 ] || mkdir -p /run/sshd
}

# Unpacks Debian's rsyslogd below target. Installed, it would log for the machine, or stand against the one that does.
install_rsyslog() {
    [ -x target/rsyslog/usr/sbin/rsyslogd ] && return
    printf '== unpacking rsyslog below target\n'
    rm -rf target/rsyslog.new && mkdir -p target/rsyslog.new && (
        cd target/rsyslog.new
        # A new machine has no lists of packages yet.
        apt-get download -qq rsyslog libestr0 libfastjson4 liblognorm5 >/dev/null 2>&1 ||
            { apt-get update -qq && apt-get download -qq rsyslog libestr0 libfastjson4 liblognorm5 >/dev/null; }
        for package in *.deb; do dpkg -x "$package" . && rm "$package"; done
    ) && mv target/rsyslog.new target/rsyslog || die 'rsyslog cannot be unpacked: is there an apt-get, and its mirror reachable?'
}

# Installs a package of Python in an environment of its own below target: `DIRECTORY PACKAGE VERSION`.
install_python() {
    local venv=target/$1 package=$2 version=$3
    "$venv/bin/python" -c "from importlib.metadata import version as v; assert v('$package') == '$version'" \
        2>/dev/null && return
    printf '== installing %s %s below %s\n' "$package" "$version" "$venv"
    python3 -m venv --clear "$venv" && "$venv/bin/pip" install -q --disable-pip-version-check "$package==$version" ||
        die "$package is not there: is pypi.org reachable?"
}

# OpenSearch's protocol in one program: it stands in for OpenSearch and Elasticsearch, which no package of Debian has.
install_osmem() {
    install_python osmem osmem-server 0.1.6
}

# A collector for OpenTelemetry, of which Debian has none: its package of Python is a wheel around the program.
install_rotel() {
    install_python rotel rotel 0.0.1a15
}

# What makes requests out of an OpenAPI description and holds the answers against it.
install_schemathesis() {
    install_python schemathesis schemathesis 4.32.5
}

# What looks for barriers in a page: the program's pages have to have none.
install_axe() {
    local version=4.10.3 sum=0f2b4d7dcdf7d1219df8d1959ad68e565f51d14c3f0d88bb71cd59abeb956292 to=target/axe
    [ ! -f "$to/axe.min.js" ] || return 0
    printf '== installing axe-core %s below %s\n' "$version" "$to"
    mkdir -p "$to"
    curl -fsS -o "$to/axe.tgz" "https://registry.npmjs.org/axe-core/-/axe-core-$version.tgz" &&
        sha256sum --quiet -c <<<"$sum  $to/axe.tgz" && tar -xzf "$to/axe.tgz" -C "$to" --strip-components=1 package/axe.min.js ||
        die 'axe-core is not there: is registry.npmjs.org reachable?'
}

# Installs a command of cargo when it is missing, outside of this directory, whose configuration would link it statically.
install_cargo() {
    command -v "$1" >/dev/null || (cd / && step cargo install --locked "$1")
}

# An S3 server for the tests of mirrors, which no package of Debian has.
install_s3s() {
    local version=0.14.1
    grep -qs "s3s-fs $version" target/s3s/.crates.toml && return
    printf '== installing s3s-fs %s below target/s3s\n' "$version"
    # Without what a debugger wants it is built in two thirds of the time.
    CARGO_PROFILE_DEV_DEBUG=false cargo install -q --locked --debug --root target/s3s --target-dir target/s3s/build \
        --features binary "s3s-fs@$version" ||
        die 's3s-fs is not there: is crates.io reachable?'
}

# Two adjacent releases of something large and real, below target/bench: trees that differ as trees differ in a week.
install_trees() {
    local version to=target/bench/v
    for version in 1 2; do
        [ ! -d "$to$version" ] || continue
        rm -rf "$to$version.new" && mkdir -p "$to$version.new"
        target/osmem/bin/pip download -q --disable-pip-version-check --no-deps --only-binary :all: -d "$to$version.new" \
            "Django==5.0.$version" || die "Django 5.0.$version is not there: is pypi.org reachable?"
        python3 -m zipfile -e "$to$version.new"/*.whl "$to$version.new/tree"
        mv "$to$version.new/tree" "$to$version" && rm -rf "$to$version.new"
    done
}
