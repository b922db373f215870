"""A map: rows of characters, read from text."""

WALL = "#"

Place = tuple[int, int]


class Grid:
    """A rectangle of cells; a place is (row, column), from the top left."""

    def __init__(self, text: str) -> None:
        self.rows = [line for line in text.splitlines() if line.strip()]
        if not self.rows:
            raise ValueError("a map has one row at least")
        self.height = len(self.rows)
        self.width = max(len(row) for row in self.rows)
        self.rows = [row.ljust(self.width, WALL) for row in self.rows]

    def inside(self, place: Place) -> bool:
        """Whether the place is on the map."""
        row, column = place
        return 0 <= row < self.height and 0 <= column < self.width

    def at(self, place: Place) -> str:
        """The character there; what is beyond the map is wall."""
        return self.rows[place[0]][place[1]] if self.inside(place) else WALL

    def is_open(self, place: Place) -> bool:
        """Whether one can stand there."""
        return self.at(place) != WALL

    def cost(self, place: Place) -> int:
        """Of stepping there: its digit, 1 for other floor."""
        found = self.at(place)
        return int(found) if found.isdigit() else 1

    def find(self, wanted: str) -> list[Place]:
        """Where a character stands, row by row."""
        return [
            (number, column)
            for number, row in enumerate(self.rows)
            for column, found in enumerate(row)
            if found == wanted
        ]

    def beside(self, place: Place, diagonal: bool = False) -> list[Place]:
        """The open places next to one: above, left, right, below; diagonal ones after them if asked."""
        row, column = place
        steps = [(-1, 0), (0, -1), (0, 1), (1, 0)]
        if diagonal:
            steps += [(-1, -1), (-1, 1), (1, -1), (1, 1)]
        return [(row + down, column + right) for down, right in steps if self.is_open((row + down, column + right))]

    def rooms(self) -> list[set[Place]]:
        """Open places that are joined, the largest room first."""
        seen: set[Place] = set()
        found = []
        for row in range(self.height):
            for column in range(self.width):
                start = (row, column)
                if start in seen or not self.is_open(start):
                    continue
                room = {start}
                waiting = [start]
                while waiting:
                    for place in self.beside(waiting.pop()):
                        if place not in room:
                            room.add(place)
                            waiting.append(place)
                seen |= room
                found.append(room)
        return sorted(found, key=len, reverse=True)

    def turned(self) -> "Grid":
        """The map turned to the right by a quarter."""
        return Grid("\n".join("".join(row[column] for row in reversed(self.rows)) for column in range(self.width)))

    def edge(self) -> list[Place]:
        """The open places on the border of the map, row by row."""
        places = [(row, column) for row in range(self.height) for column in range(self.width)]
        return [
            (row, column)
            for row, column in places
            if (row in (0, self.height - 1) or column in (0, self.width - 1)) and self.is_open((row, column))
        ]
