"""`lb completion`: what a shell needs to complete commands, options, algorithms and backends."""

from __future__ import annotations

import shlex
from typing import Annotated

import typer

from lb.errors import UsageError, nearest

BASH = r"""# lb completion bash > /etc/bash_completion.d/lb
# or in ~/.bashrc: source <(lb completion bash)
_lb() {
    local line=${COMP_LINE:0:COMP_POINT} IFS=$'\n'
    COMPREPLY=($(lb completion bash --line "$line" 2>/dev/null))
    if [[ $COMP_WORDBREAKS == *:* ]]; then # bash takes 10.0.0.1:80 and p2c:choices=3 apart
        local word=${line##*[[:space:]]}
        local before=${word%"${word##*[:=]}"}
        COMPREPLY=("${COMPREPLY[@]#"$before"}")
    fi
    if [[ ${#COMPREPLY[@]} == 1 && ${COMPREPLY[0]} == *= ]]; then compopt -o nospace; fi
}
complete -o default -F _lb lb
"""
ZSH = r"""#compdef lb
# lb completion zsh > _lb, in a directory of $fpath
# or in ~/.zshrc, behind compinit: source <(lb completion zsh)
_lb() {
    local row line="${(j: :)words[1,CURRENT-1]} $PREFIX"
    local -a found pairs
    found=("${(@f)$(lb completion zsh --line "$line" 2>/dev/null)}")
    if [[ -z ${found[1]} ]]; then
        _files
        return
    fi
    for row in "${found[@]}"; do
        pairs+=("${${row%%$'\t'*}//:/\\:}:${row#*$'\t'}")
    done
    _describe -t values lb pairs
}
if [[ ${funcstack[1]} == _lb ]]; then _lb "$@"; else compdef _lb lb; fi
"""
FISH = r"""# lb completion fish > ~/.config/fish/completions/lb.fish
function __lb_complete
    set -l found (lb completion fish --line (commandline -cp | string collect) 2>/dev/null)
    if test (count $found) -gt 0
        printf '%s\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete -c lb -f -a '(__lb_complete)'
"""
SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


def completion(
    context: typer.Context,
    shell: Annotated[str, typer.Argument(metavar="bash|zsh|fish", help="Which shell.")],
    line: Annotated[
        str | None,
        typer.Option(hidden=True, envvar="LB_LINE", help="Asked by the shell: up to the cursor."),
    ] = None,
) -> None:
    """Print a script for a shell to complete commands of lb.

    It says where it goes.
    """
    if shell not in SCRIPTS:
        raise UsageError(f"{shell!r}: no completion for that; {nearest(shell, SCRIPTS)}")
    if line is None:
        typer.echo(SCRIPTS[shell], nl=False)
        return
    from lb.cli.candidates import candidates

    for value, text in candidates(context.find_root().command, line):
        typer.echo(shlex.quote(value) if shell == "bash" else f"{value}\t{text}")
