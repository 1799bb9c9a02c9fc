from __future__ import annotations

from connectors.jira.adf import document, text_of


def test_paragraphs_lists_and_breaks() -> None:
    made = document("One\ntwo\n\nItems:\n- a\n- b\nafter\n")
    assert made == {
        "type": "doc",
        "version": 1,
        "content": [
            {
                "type": "paragraph",
                "content": [{"type": "text", "text": "One"}, {"type": "hardBreak"}, {"type": "text", "text": "two"}],
            },
            {"type": "paragraph", "content": [{"type": "text", "text": "Items:"}]},
            {
                "type": "bulletList",
                "content": [
                    {
                        "type": "listItem",
                        "content": [{"type": "paragraph", "content": [{"type": "text", "text": "a"}]}],
                    },
                    {
                        "type": "listItem",
                        "content": [{"type": "paragraph", "content": [{"type": "text", "text": "b"}]}],
                    },
                ],
            },
            {"type": "paragraph", "content": [{"type": "text", "text": "after"}]},
        ],
    }
    assert text_of(made) == "One\ntwo\nItems:\n- a\n- b\nafter"


def test_nothing_is_markup_and_no_text_is_empty() -> None:
    made = document("*bold* [x|http://y] {code}")
    assert made["content"][0]["content"] == [{"type": "text", "text": "*bold* [x|http://y] {code}"}]
    assert document("")["content"] == [{"type": "paragraph", "content": []}]
    assert document("- ")["content"] == [{"type": "paragraph", "content": [{"type": "text", "text": "-"}]}]


def test_what_others_wrote_is_read_as_text() -> None:
    paragraph = [
        {"type": "mention", "attrs": {"id": "5b10", "text": "@Ada"}},
        {"type": "text", "text": " see "},
        {"type": "inlineCard", "attrs": {"url": "https://x.test"}},
        {"type": "emoji", "attrs": {"shortName": ":+1:"}},
        {"type": "status", "attrs": {"color": "red"}},
    ]
    said = {"type": "doc", "content": [{"type": "heading", "content": paragraph}, "strange"]}
    assert text_of(said) == "@Ada see https://x.test:+1:"
    assert text_of(None) == ""
