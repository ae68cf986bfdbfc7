"""Pure: the restricted Liquid of template rules.

What is left of Liquid is output, conditions and a few filters on text. Nothing repeats, so that the work of a
template is bounded by its length, and text cannot grow beyond a limit on its way. Liquid's own limits
are not relied on: they are off by default, and none of them sees a filter.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from functools import lru_cache
from io import StringIO
from types import MappingProxyType
from typing import NamedTuple

import liquid
from liquid.ast import Node
from liquid.builtin import comment_tag, content, if_tag, illegal, output, unless_tag
from liquid.builtin.expressions import (
    BooleanExpression,
    Filter,
    FilteredExpression,
    KeywordArgument,
    Literal,
    Path,
)
from liquid.builtin.expressions.logical import LogicalAndExpression, LogicalOrExpression
from liquid.builtin.expressions.primitive import RangeLiteral
from liquid.exceptions import LiquidError
from liquid.expression import Expression
from liquid.token import TOKEN_TAG, Token

from crm_sync.transforms import TRANSFORMS, as_text, is_lead_value, nearest, unknown_lead_value
from leads.texts import gettext as _
from leads.texts import gettext_noop

# All in characters.
SOURCE_LIMIT = 2_000
VALUE_LIMIT = 50_000  # of a lead value that is read, and of what a filter makes of it
OUTPUT_LIMIT = 10_000

# Conditions are evaluated recursively: this keeps them well off the end of Python's stack.
EXPRESSION_DEPTH_LIMIT = 50

_TAGS = frozenset(("if", "elsif", "else", "endif", "unless", "endunless", "comment", "endcomment", "raw"))
_DATE_FORMAT = re.compile(r"(?:[^%]|%[aAbBdHIjmMpSyY%])*")


class TemplateError(ValueError):
    """Why a template is refused or cannot be rendered. `line` and `column` count from 1; None: no place."""

    def __init__(self, message: str, line: int | None = None, column: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column


# The filters. Each takes the text, the values of the lead, and its arguments as text.


def _default(text: str, values: Mapping[str, object], other: str) -> str:
    return text or other


def _append(text: str, values: Mapping[str, object], more: str) -> str:
    return text + more


def _prepend(text: str, values: Mapping[str, object], more: str) -> str:
    return more + text


def _replace(text: str, values: Mapping[str, object], old: str, new: str) -> str:
    if not old:
        return text
    # Counted first: one replacement can ask for a gigabyte.
    _refuse_growth(len(text) + text.count(old) * (len(new) - len(old)))
    return text.replace(old, new)


def _remove(text: str, values: Mapping[str, object], unwanted: str) -> str:
    return text.replace(unwanted, "")


def _truncate(text: str, values: Mapping[str, object], length: str = "50", ending: str = "...") -> str:
    # Unlike Liquid's, the result never exceeds the length: it is that of a field of the CRM.
    if not length.isdecimal() or len(length) > 6:
        raise TemplateError(_("truncate needs the number of characters to keep: truncate: 80."))
    limit = int(length)
    return text if len(text) <= limit else (text[: max(limit - len(ending), 0)] + ending)[:limit]


def _last_word(text: str, values: Mapping[str, object]) -> str:
    return next(iter(text.rsplit(maxsplit=1)[-1:]), "")


def _date(text: str, values: Mapping[str, object], form: str) -> str:
    if not _DATE_FORMAT.fullmatch(form):
        raise TemplateError(_("date knows %Y %y %m %d %H %I %M %S %p %j %a %A %b %B and %%, like %d.%m.%Y."))
    try:
        return datetime.fromisoformat(text.strip()).strftime(form)
    except ValueError:
        return text


class _Filter(NamedTuple):
    apply: Callable[..., str]
    help: str


_FILTERS = {
    "upcase": _Filter(TRANSFORMS["upper"].apply, gettext_noop("In capitals: {{ company | upcase }}")),
    "downcase": _Filter(TRANSFORMS["lower"].apply, gettext_noop("In small letters: {{ email | downcase }}")),
    "capitalize": _Filter(
        lambda text, values: text.capitalize(),
        gettext_noop("First letter large, all others small: {{ action_label | capitalize }}"),
    ),
    "strip": _Filter(
        TRANSFORMS["trim"].apply, gettext_noop("Without spaces around it: {{ company | strip }}")
    ),
    "default": _Filter(
        _default, gettext_noop('Another text where there is none: {{ company | default: "unknown" }}')
    ),
    "append": _Filter(_append, gettext_noop('With text after it: {{ offer_id | append: "-lead" }}')),
    "prepend": _Filter(_prepend, gettext_noop('With text before it: {{ offer_id | prepend: "offer-" }}')),
    "replace": _Filter(
        _replace, gettext_noop('With one text in place of another: {{ phone | replace: "-", " " }}')
    ),
    "remove": _Filter(_remove, gettext_noop('Without a text: {{ phone | remove: "-" }}')),
    "truncate": _Filter(
        _truncate, gettext_noop("At most that many characters: {{ description | truncate: 80 }}")
    ),
    "date": _Filter(_date, gettext_noop('A date, written your way: {{ received_at | date: "%d.%m.%Y" }}')),
    "first_word": _Filter(
        TRANSFORMS["first_word"].apply, gettext_noop("The first word: {{ full_name | first_word }}")
    ),
    "last_word": _Filter(
        _last_word,
        gettext_noop(
            'The last word; of an e-mail address, the domain: {{ email | replace: "@", " " | last_word }}'
        ),
    ),
    "digits": _Filter(TRANSFORMS["digits"].apply, gettext_noop("Digits only: {{ phone | digits }}")),
    "e164": _Filter(
        TRANSFORMS["e164"].apply, gettext_noop("A phone number as +14255550100: {{ phone | e164 }}")
    ),
    "country_name": _Filter(
        TRANSFORMS["country_name"].apply,
        gettext_noop("A country by its name: {{ country_code | country_name }}"),
    ),
}
FILTERS: Mapping[str, str] = MappingProxyType({name: filter_.help for name, filter_ in _FILTERS.items()})


def check(source: str) -> None:
    """Refuse a template that is too long, does not parse, or uses what there is not.

    Raises TemplateError, with the place in the source where there is one.
    """
    _compile(source)


def names(source: str) -> frozenset[str]:
    """The lead values that a template reads. Raises TemplateError for one that `check` refuses."""
    template = _compile(source)
    expressions = _expressions(template.nodes, _Context(template))
    return frozenset(_name(part) for part in expressions if isinstance(part, Path))


def render(source: str, values: Mapping[str, object]) -> str:
    """The template's text, at most OUTPUT_LIMIT characters, for the values of one lead by their flat names.

    A lead value that this lead does not have is empty. Raises TemplateError for a template that `check`
    refuses, and where text grows too long.
    """
    template = _compile(source)
    buffer = _Output()
    try:
        template.render_with_context(_Context(template, globals=values), buffer)
    except LiquidError as error:
        raise _refusal(error, source) from error
    return buffer.getvalue()


class _Context(liquid.RenderContext):
    """Reads lead values, and nothing else: no clock (`now`), no `.size` or `.first` of a value."""

    def get(self, path: list[object], *, token: Token | None, default: object = None) -> object:
        name = ".".join(str(segment) for segment in path)
        value = self.globals.get(name)
        if isinstance(value, bool):
            return value
        text = as_text(value)
        if len(text) > VALUE_LIMIT:
            raise TemplateError(
                _(
                    "“{name}” of this lead is longer than {limit:,} characters, too long for a template."
                ).format(name=name, limit=VALUE_LIMIT)
            )
        return text


class _Output(StringIO):
    """Takes OUTPUT_LIMIT characters."""

    def write(self, text: str) -> int:
        if self.tell() + len(text) > OUTPUT_LIMIT:
            raise TemplateError(
                _(
                    "The text grows longer than {limit:,} characters. Shorten a long value with truncate."
                ).format(limit=OUTPUT_LIMIT)
            )
        return super().write(text)


class _IfTag(if_tag.IfTag):
    # Liquid's own mode drops whatever stands behind a second `else`, silently.
    mode = liquid.Mode.STRICT


class _UnlessTag(unless_tag.UnlessTag):
    mode = liquid.Mode.STRICT


class _Environment(liquid.Environment):
    """Only what runs once. Not `case`: its `when a, a` renders a block twice; nested, it runs for years."""

    block_nesting_limit = 20
    # A block of one space, as between two names, is meant.
    suppress_blank_control_flow_blocks = False

    def setup_tags_and_filters(self, *, extra: bool = False) -> None:
        for tag in (
            content.Literal,
            output.Output,
            illegal.Illegal,
            comment_tag.CommentTag,
            _IfTag,
            _UnlessTag,
        ):
            self.add_tag(tag)
        for name, filter_ in _FILTERS.items():
            self.add_filter(name, _liquid_filter(filter_.apply))


def _liquid_filter(apply: Callable[..., str]) -> Callable[..., str]:
    """The filter as Liquid calls it: on any value, with the context, and within the limit."""

    @liquid.filter.with_context
    def filter_(value: object, *arguments: object, context: liquid.RenderContext) -> str:
        text = apply(as_text(value), context.globals, *map(as_text, arguments))
        _refuse_growth(len(text))
        return text

    return filter_


def _refuse_growth(length: int) -> None:
    if length > VALUE_LIMIT:
        raise TemplateError(
            _("A filter makes this text longer than {limit:,} characters.").format(limit=VALUE_LIMIT)
        )


_environment = _Environment()


@lru_cache(maxsize=1_000)
def _compile(source: str) -> liquid.BoundTemplate:
    """The parsed template, once it has passed every check."""
    if len(source) > SOURCE_LIMIT:
        raise TemplateError(
            _("This has {number:,} characters; shorten it to at most {limit:,}.").format(
                number=len(source), limit=SOURCE_LIMIT
            )
        )
    try:
        _check_tags(source)
        template = _environment.from_string(source)
        for expression in _expressions(template.nodes, _Context(template)):
            _check_expression(expression, source)
            _take_empty_for_false(expression)
    except LiquidError as error:
        raise _refusal(error, source) from error
    return template


def _check_tags(source: str) -> None:
    for token in _environment.tokenizer()(source):
        if token.kind == TOKEN_TAG and token.value not in _TAGS:
            raise _error(
                _("“{tag}” cannot be used here, only if, elsif, else, unless, comment and raw.").format(
                    tag=token.value
                ),
                source,
                token,
            )


def _expressions(nodes: Iterable[Node], context: liquid.RenderContext) -> Iterator[Expression]:
    for node in nodes:
        for expression in node.expressions():
            yield from _with_inner(expression)
        yield from _expressions(node.children(context, include_partials=False), context)


def _with_inner(expression: Expression, depth: int = 0) -> Iterator[Expression]:
    if depth > EXPRESSION_DEPTH_LIMIT:
        raise TemplateError(_("This condition has too many parts; make it simpler."))
    yield expression
    for child in expression.children():
        yield from _with_inner(child, depth + 1)


def _check_expression(expression: Expression, source: str) -> None:
    if isinstance(expression, Path):
        _check_name(expression, source)
    elif isinstance(expression, FilteredExpression):
        for filter_ in expression.filters or ():
            _check_filter(filter_, source)
    elif isinstance(expression, RangeLiteral):
        # `(1..100000000) contains "x"` counts all the way.
        raise _error(_("A range like (1..5) cannot be used here."), source, expression.token)


def _check_name(path: Path, source: str) -> None:
    if any(isinstance(segment, Path) for segment in path.path):
        message = _('Put the key in quotes: campaign["utm_source"].')
        raise _error(message, source, path.token)
    name = _name(path)
    if not is_lead_value(name):
        raise _error(unknown_lead_value(name), source, path.token)


def _name(path: Path) -> str:
    return ".".join(str(segment) for segment in path.path)


def _check_filter(used: Filter, source: str) -> None:
    """Try the filter with those arguments that are known already: a wrong one is told before a lead comes."""
    filter_ = _FILTERS.get(used.name)
    if filter_ is None:
        message = _("There is no filter “{name}”{hint}").format(
            name=used.name, hint=nearest(used.name, FILTERS)
        )
        raise _error(message, source, used.token)
    arguments = [as_text(arg.value.value) if isinstance(arg.value, Literal) else "1" for arg in used.args]
    named = {arg.name: "" for arg in used.args if isinstance(arg, KeywordArgument)}
    try:
        filter_.apply("2026-11-22T10:00:00Z", {}, *arguments, **named)
    except TypeError:
        message = _("{name} is written otherwise. {help}").format(name=used.name, help=_(filter_.help))
        raise _error(message, source, used.token) from None
    except TemplateError as error:
        raise _error(error.message, source, used.token) from None


class _IsFilled(Expression):
    """A value as a condition: it holds where the value is not empty. Liquid alone takes "" for true."""

    __slots__ = ("value",)

    def __init__(self, value: Expression) -> None:
        super().__init__(value.token)
        self.value = value

    def evaluate(self, context: liquid.RenderContext) -> bool:
        return self.value.evaluate(context) not in ("", False)

    def children(self) -> list[Expression]:
        return [self.value]


def _take_empty_for_false(expression: Expression) -> None:
    if isinstance(expression, BooleanExpression):
        expression.expression = _as_condition(expression.expression)
    elif isinstance(expression, LogicalAndExpression | LogicalOrExpression):
        expression.left = _as_condition(expression.left)
        expression.right = _as_condition(expression.right)


def _as_condition(operand: Expression) -> Expression:
    return _IsFilled(operand) if isinstance(operand, Path) else operand


def _refusal(error: LiquidError, source: str) -> TemplateError:
    return _error(
        _("This cannot be read as Liquid: {error}.").format(error=error.message), source, error.token
    )


def _error(message: str, source: str, token: Token | None) -> TemplateError:
    if token is None or token.start_index < 0:
        return TemplateError(message)
    before = source[: token.start_index]
    return TemplateError(message, before.count("\n") + 1, len(before) - before.rfind("\n"))
