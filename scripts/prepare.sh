#!/usr/bin/env bash
# Brings a Debian 12/13 or Ubuntu 24.04 machine to the point where cargo can build Moviola.
# usage: prepare.sh [build|test]    `test` adds what the tests compare against (ffmpeg, python3, a font) and a browser.
# Says nothing and changes nothing when everything is there. NO_INSTALL=1: look, but never install.
# `page` only tells, by its exit code, whether the page can be built.
set -euo pipefail
cd "$(dirname "$0")/.."
what=${1:-build}
export PATH="${CARGO_HOME:-$HOME/.cargo}/bin:$PATH"

# The page is built with Vite 6. Debian 12 has Node.js 18.
readonly NODE_MIN=18

# FFmpeg 5.1 is libavcodec 59.37, FFmpeg 8.x is libavcodec 62.
readonly AVCODEC_MIN=59.37 AVCODEC_BELOW=63

say() { printf 'prepare: %s\n' "$*" >&2; }
has() { command -v "$1" >/dev/null 2>&1; }
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

node_now() { has node && [ "$(node -p 'parseInt(process.versions.node)' 2>/dev/null || echo 0)" -ge "$NODE_MIN" ]; }

if [ "$what" = page ]; then
    node_now && has npm
    exit
fi

# Ubuntu's package of this name is a door to a snap, which containers cannot run: there CHROMIUM names a browser, or the
# page is not tried in one.
browser() { [ -n "${CHROMIUM:-}" ] || has chromium || ! grep -qs '^ID=debian' /etc/os-release; }

packages=()
want() { packages+=("$@"); }

# What is missing, as names of packages.
look() {
    packages=()
    { has cc && has make; } || want build-essential
    { has pkg-config && pkg-config --version >/dev/null 2>&1; } || want pkg-config
    has cmake || want cmake
    has nasm || want nasm
    has curl || want curl
    [ -e /etc/ssl/certs/ca-certificates.crt ] || want ca-certificates
    has clang || want clang
    local found=no lib
    for lib in ${LIBCLANG_PATH:+"$LIBCLANG_PATH"/libclang*.so*} /usr/lib/llvm-*/lib/libclang*.so* /usr/lib/*/libclang*.so*; do
        if [ -e "$lib" ]; then found=yes; break; fi
    done
    [ "$found" = yes ] || want libclang-dev
    for lib in avcodec avformat avfilter avutil swscale swresample; do
        { has pkg-config && pkg-config --exists "lib$lib" 2>/dev/null; } || want "lib$lib-dev"
    done
    node_now || want nodejs
    has npm || want npm
    if [ "$what" = test ]; then
        browser || want chromium
        has ffmpeg || want ffmpeg
        has python3 || want python3
        [ -e /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf ] || want fonts-dejavu-core
    fi
}

# A server is built without Node.js too, but without its page.
only_page() {
    local package
    for package in "${packages[@]}"; do
        case $what-$package in build-nodejs | build-npm) ;; *) return 1 ;; esac
    done
}

install_packages() {
    local line="apt-get install -y --no-install-recommends ${packages[*]}" as=()
    if [ "${NO_INSTALL:-}" = 1 ] || ! has apt-get; then
        if only_page; then return; fi
        say "these packages are missing and were not installed; run as root: $line"
        exit 1
    fi
    if [ "$(id -u)" -ne 0 ]; then
        if has sudo && { sudo -n true 2>/dev/null || [ -t 0 ]; }; then
            as=(sudo)
        else
            if only_page; then return; fi
            say "these packages are missing and installing them takes root; run: sudo $line"
            exit 1
        fi
    fi
    say "installing ${packages[*]}"
    local log
    log=$(mktemp)
    if ! "${as[@]}" apt-get update -qq >"$log" 2>&1 ||
        ! "${as[@]}" env DEBIAN_FRONTEND=noninteractive $line -qq >>"$log" 2>&1; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        say "apt-get could not install them; put it right and run: sudo $line"
        exit 1
    fi
    rm -f "$log"
}

look
if [ ${#packages[@]} -gt 0 ]; then
    install_packages
    look
    if [ ${#packages[@]} -gt 0 ] && only_page; then
        say "no Node.js $NODE_MIN or later with npm: this build has no page; to add it: apt-get install ${packages[*]}, and again"
    elif [ ${#packages[@]} -gt 0 ]; then
        say "still missing after apt-get: ${packages[*]}"
        exit 1
    fi
fi

if ! pkg-config --atleast-version=$AVCODEC_MIN libavcodec || pkg-config --atleast-version=$AVCODEC_BELOW libavcodec; then
    say "Moviola needs FFmpeg 5.1 to 8.x (libavcodec $AVCODEC_MIN up to but not $AVCODEC_BELOW), but pkg-config finds libavcodec $(pkg-config --modversion libavcodec);" \
        "install the libav*-dev packages of Debian 12 or later or Ubuntu 24.04, or point PKG_CONFIG_PATH at another FFmpeg"
    exit 1
fi

# Rust, by rustup: the cargo of the distributions is older than what Cargo.toml asks for.
rust_min=$(sed -n 's/^rust-version *= *"\(.*\)"/\1/p' Cargo.toml)
rust_now() { cargo --version 2>/dev/null | awk '{ print $2; exit }'; }
now=$(rust_now || true)
if [ -z "$now" ] || ! at_least "$now" "$rust_min"; then
    if [ "${NO_INSTALL:-}" = 1 ]; then
        say "Moviola needs Rust $rust_min or later (found: ${now:-none}); see https://rustup.rs"
        exit 1
    fi
    say "installing Rust (found: ${now:-none}, needed: $rust_min)"
    if has rustup; then
        rustup toolchain install stable --profile minimal -c rustfmt -c clippy >/dev/null
        rustup default stable >/dev/null
    else
        curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs |
            RUSTUP_INIT_SKIP_PATH_CHECK=yes sh -s -- -y -q --no-modify-path --profile minimal -c rustfmt -c clippy >/dev/null
    fi
    hash -r
    now=$(rust_now || true)
    if [ -z "$now" ] || ! at_least "$now" "$rust_min"; then
        say "rustup ran, but cargo is ${now:-missing}; install Rust $rust_min or later from https://rustup.rs"
        exit 1
    fi
fi
if [ "$what" = test ] && { ! cargo fmt --version || ! cargo clippy --version; } >/dev/null 2>&1; then
    if [ "${NO_INSTALL:-}" != 1 ] && has rustup; then
        rustup component add rustfmt clippy >/dev/null
    else
        say "cargo fmt and cargo clippy are needed for the tests; install rustfmt and clippy"
        exit 1
    fi
fi
