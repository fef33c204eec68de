"""Who goes next: larger priorities first, then whoever waited longest, while there is room.

A pure function of its input: there is no clock and no randomness, and a module's variables are forgotten after each
call. An exception costs nobody a request, but the host then decides by itself, first come, first served.
"""

from wit_world.exports.scheduling_guest import Decision, Decision_Admit, Load, WaitingRequest


def order(waiting: list[WaitingRequest], load: Load) -> list[Decision]:
    """Who may start, in order. Whoever is not named keeps waiting; `Decision_Reject(id)` is answered with `overloaded`."""
    room = max(load.max_running - load.running, 0)
    ordered = sorted(waiting, key=lambda request: (-request.priority, -request.waited_ms, request.id))
    return [Decision_Admit(request.id) for request in ordered[:room]]
