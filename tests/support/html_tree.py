"""A page as a tree, read more strictly than a browser does."""

from __future__ import annotations

import html.parser

VOID = {"meta", "link", "input", "br", "hr", "img"}


class Node:
    def __init__(self, tag: str, attrs: dict[str, str | None]) -> None:
        self.tag, self.attrs = tag, attrs
        self.children: list[Node | str] = []

    def walk(self) -> list[Node]:
        return [self, *(node for child in self.children if isinstance(child, Node) for node in child.walk())]

    def find(self, tag: str, **attrs: str) -> list[Node]:
        wanted = {name.rstrip("_"): value for name, value in attrs.items()}
        return [
            node
            for node in self.walk()
            if node.tag == tag
            and all(value in (node.attrs.get(name) or "").split() for name, value in wanted.items() if name == "class")
            and all(node.attrs.get(name) == value for name, value in wanted.items() if name != "class")
        ]

    @property
    def text(self) -> str:
        return "".join(child if isinstance(child, str) else child.text for child in self.children)


class TreeParser(html.parser.HTMLParser):
    """Builds a tree and refuses what a browser would have to repair."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Node("root", {})
        self.stack = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len({name for name, _ in attrs}) == len(attrs), f"<{tag}> repeats an attribute"
        node = Node(tag, dict(attrs))
        self.stack[-1].children.append(node)
        if tag not in VOID:
            self.stack.append(node)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack[-1].tag == tag, f"</{tag}> closes <{self.stack[-1].tag}>"
        self.stack.pop()

    def handle_data(self, data: str) -> None:
        self.stack[-1].children.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"comment {data!r}")


def parse(page: str) -> Node:
    parser = TreeParser()
    parser.feed(page)
    parser.close()
    assert parser.stack == [parser.root], "an element is not closed"
    ids = [node.attrs["id"] for node in parser.root.walk() if "id" in node.attrs]
    assert len(set(ids)) == len(ids), "an id occurs twice"
    targets = [
        node.attrs[name] for node in parser.root.walk() for name in ("for", "aria-labelledby") if name in node.attrs
    ]
    assert set(targets) <= set(ids), "a label points nowhere"
    return parser.root


def texts(nodes: list[Node]) -> list[str]:
    return [" ".join(node.text.split()) for node in nodes]
