# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# Sourced by the scripts that take packages from Debian without installing them: from
# the mirror that apt already uses, with a state of its own, so that the machine's
# package lists stay untouched.

SUITE=trixie-backports
KEYRING=/usr/share/keyrings/debian-archive-keyring.gpg

# debian_release: print the mirror and the release, where apt takes Debian's main section
# from now. A suite's own -security archive is elsewhere, and so are other vendors' archives.
debian_release()
{
	local releases='bookworm|trixie|forky|sid|oldstable|stable|testing|unstable'

	apt-get indextargets --no-release-info \
		'Created-By: Packages' 'Component: main' \
		--format '$(REPO_URI) $(RELEASE)' 2>/dev/null |
		awk -v releases="^($releases)(-backports)?\$" '$2 ~ releases {
			sub(/-backports$/, "", $2)
			print
			exit
		}'
}

# debian_mirror: that mirror
debian_mirror()
{
	debian_release | cut -d' ' -f1
}

# debian_package PACKAGE DIR [SUITE ARCHITECTURE]: download a package, of $SUITE and this
# machine's architecture unless told otherwise, into an empty directory; sets deb to its file
debian_package()
{
	local package=$1 dir=$2 suite=${3:-$SUITE} architecture=${4:-$(dpkg --print-architecture)}
	local mirror apt

	need apt-get apt
	need dpkg-deb dpkg
	[[ -r $KEYRING ]] ||
		die "$KEYRING is missing: apt-get install debian-archive-keyring"
	mirror=$(debian_mirror)
	[[ -n $mirror ]] ||
		die "apt has no Debian mirror configured: set KERNEL_SRC to a Linux $KSERIES tree"
	mkdir -p "$dir"/{lists/partial,archives/partial,etc/parts,etc/prefs}
	: >"$dir/status"
	echo "deb [signed-by=$KEYRING] $mirror $suite main" >"$dir/etc/sources.list"
	apt=(apt-get -q
		-o Dir::State="$dir" -o Dir::State::Lists="$dir/lists"
		-o Dir::State::status="$dir/status"
		-o Dir::Cache="$dir" -o Dir::Cache::archives="$dir/archives"
		-o Dir::Etc::SourceList="$dir/etc/sources.list"
		-o Dir::Etc::SourceParts="$dir/etc/parts"
		-o Dir::Etc::Preferences="$dir/etc/none"
		-o Dir::Etc::PreferencesParts="$dir/etc/prefs"
		-o Acquire::Languages=none
		-o APT::Architecture="$architecture" -o APT::Architectures="$architecture"
		# the directory is readable for its owner only, so not for user _apt
		-o APT::Sandbox::User="$(id -un)")

	note "fetching $package from $suite"
	"${apt[@]}" update >"$dir/log" 2>&1 ||
		{ cat "$dir/log" >&2; die "apt cannot read $suite from its mirror (see above)"; }
	# apt-get update reports unreachable or badly signed archives as warnings
	if grep -q '^[WE]:' "$dir/log"; then
		grep '^[WE]:' "$dir/log" >&2
		die "apt cannot read $suite from its mirror (see above)"
	fi
	(cd "$dir" && "${apt[@]}" download "$package") >"$dir/log" 2>&1 ||
		{ cat "$dir/log" >&2; die "apt cannot fetch $package (see above)"; }
	deb=$(echo "$dir/$package"_*.deb)
	[[ -f $deb ]] || die "apt fetched no $package package"
}
