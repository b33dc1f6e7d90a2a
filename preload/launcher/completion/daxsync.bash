# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# daxsync.bash: completion for bash. Commands, options and values are what "daxsync --help" and "daxsync COMMAND --help"
# list, so a new one needs nothing here.

# The word that stands for an option's value there ("auto|uffd", "PATH"), "" for an option that takes none.
_daxsync_values() { # OPTION
	sed -n "s/^  $1=\([^ ]*\).*/\1/p" <<<"$help"
}

_daxsync_reply() { # COMPGEN-ARGUMENT...
	mapfile -t COMPREPLY < <(compgen "$@" -- "$cur")
}

_daxsync_value() { # OPTION
	local values
	values=$(_daxsync_values "$1")
	case $values in
	*'|'*) _daxsync_reply -W "${values//|/ }" ;;
	PATH) _daxsync_reply -d ;;
	FILE) _daxsync_reply -f ;;
	esac
}

# Sets `first` to the place of the first word that is neither an option nor an option's value. Bash makes words of their own
# of '=' and ':'.
_daxsync_first() {
	first=2
	while ((first < COMP_CWORD)); do
		case ${COMP_WORDS[first]} in
		--)
			((first++))
			return
			;;
		-*)
			if [[ ${COMP_WORDS[first + 1]} == = ]]; then
				((first += 3))
				while [[ ${COMP_WORDS[first]} == : ]]; do
					((first += 2))
				done
			elif [[ $(_daxsync_values "${COMP_WORDS[first]}") ]]; then
				((first += 2))
			else
				((first++))
			fi
			;;
		*) return ;;
		esac
	done
}

_daxsync_argument() {
	case ${COMP_WORDS[1]} in
	run)
		if ((COMP_CWORD == first)); then
			_daxsync_reply -c
		elif declare -F _command_offset >/dev/null; then
			_command_offset "$first" # of the package bash-completion
		else
			_daxsync_reply -f
		fi
		;;
	check) _daxsync_reply -c -f ;;
	stat) _daxsync_reply -W "$(cd /proc && printf '%s ' [0-9]*)" ;;
	*) _daxsync_reply -f ;;
	esac
}

_daxsync() {
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} first help
	if ((COMP_CWORD == 1)); then
		_daxsync_reply -W "$("$1" --help 2>/dev/null | sed -n 's/^  \([a-z]\{1,\}\)  .*/\1/p') --help --version"
		return
	fi
	help=$("$1" "${COMP_WORDS[1]}" --help 2>/dev/null)
	_daxsync_first
	if ((first < COMP_CWORD)); then
		_daxsync_argument
	elif [[ $cur == = ]]; then
		cur=
		_daxsync_value "$prev"
	elif [[ $prev == = ]]; then
		_daxsync_value "${COMP_WORDS[COMP_CWORD - 2]}"
	elif [[ $prev == -* && $(_daxsync_values "$prev") ]]; then
		_daxsync_value "$prev"
	elif [[ $cur == -* && ${COMP_WORDS[first - 1]} != -- ]]; then
		_daxsync_reply -W "$(sed -n 's/^  \(--[a-z-]*=\{0,1\}\).*/\1/p' <<<"$help")"
		[[ ${COMPREPLY[0]} != *= ]] || compopt -o nospace
	else
		_daxsync_argument
	fi
}

complete -F _daxsync daxsync
