"""A flight is one look-up for all who board, in nobody's name, and its memory is released after the last of them."""

import asyncio
from contextvars import ContextVar

from timbre_server.ports import FoundFeatures
from timbre_server.voicecache.flights import Flight, Flights, Landing

caller: ContextVar[str] = ContextVar("caller", default="nobody")


class Runway:
    """Flights that land when told, and count how often their memory was released."""

    def __init__(self) -> None:
        self.clear = asyncio.Event()
        self.let_go = asyncio.Event()
        self.begins = True
        """Whether the engine takes the flight up at once."""
        self.flown = 0
        self.released = 0
        self.callers: list[str] = []

    async def fly(self, flight: Flight) -> Landing:
        self.flown += 1
        if self.begins:
            flight.begin()
        self.callers.append(caller.get())
        await self.clear.wait()
        return Landing({}, f"flight {self.flown}", self.release)

    def release(self) -> None:
        self.released += 1
        self.let_go.set()


async def seated(flights: Flights, runway: Runway, count: int) -> list[asyncio.Task[FoundFeatures]]:
    """So many passengers of one flight that has not landed."""
    tasks = [asyncio.create_task(flights.join("key", "digest", runway.fly)) for _ in range(count)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


async def test_memory_is_released_once_after_the_last_passenger() -> None:
    runway, flights = Runway(), Flights()
    passengers = await seated(flights, runway, 3)
    runway.clear.set()
    found = await asyncio.gather(*passengers)
    found[0].release()
    found[0].release()
    found[1].release()
    assert runway.released == 0
    found[2].release()
    assert (runway.flown, runway.released) == (1, 1)


async def test_a_flight_that_everybody_left_lands_and_releases_its_memory() -> None:
    runway, flights = Runway(), Flights()
    for passenger in await seated(flights, runway, 2):
        passenger.cancel()
    await asyncio.sleep(0)
    runway.clear.set()
    await runway.let_go.wait()
    assert (runway.flown, runway.released) == (1, 1)


async def test_a_flight_that_everybody_left_before_the_engine_began_is_called_off() -> None:
    runway, flights = Runway(), Flights()
    runway.begins = False
    passengers = await seated(flights, runway, 2)
    for passenger in passengers:
        passenger.cancel()
    await asyncio.wait(passengers)
    runway.clear.set()
    # Whoever comes in the very moment gets a flight of their own, not one that is called off.
    assert (await flights.join("key", "digest", runway.fly)).source == "flight 2"


async def test_one_who_stays_keeps_the_flight_in_the_air() -> None:
    runway, flights = Runway(), Flights()
    runway.begins = False
    leaver, stayer = await seated(flights, runway, 2)
    leaver.cancel()
    await asyncio.wait([leaver])
    runway.clear.set()
    assert (await stayer).source == "flight 1"


async def test_after_the_landing_the_next_flight_is_a_new_one() -> None:
    runway, flights = Runway(), Flights()
    runway.clear.set()
    assert (await flights.join("key", "digest", runway.fly)).source == "flight 1"
    assert (await flights.join("key", "digest", runway.fly)).source == "flight 2"


async def test_a_flight_carries_no_ones_name() -> None:
    runway, flights = Runway(), Flights()
    runway.clear.set()
    caller.set("first to ask")
    await flights.join("key", "digest", runway.fly)
    assert runway.callers == ["nobody"]


async def test_flights_that_are_over_are_forgotten() -> None:
    runway, flights = Runway(), Flights()
    runway.clear.set()
    for number in range(5):
        (await flights.join(f"key {number}", "digest", runway.fly)).release()
    flights.erase("digest")
    await flights.erased_over("digest")
    assert len(flights._all) == 0
