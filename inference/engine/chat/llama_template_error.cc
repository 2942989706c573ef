#include "inference/engine/chat/llama_template_error.h"

#include <fmt/format.h>
#include <jinja/lexer.h>
#include <jinja/parser.h>

#include <algorithm>
#include <optional>

namespace allod::inference::engine::chat {
namespace {

constexpr std::size_t kMessageBytesMax = 200;
// The interpreter shows so many characters before the place, and so a mark under it.
constexpr std::size_t kShownBefore = 40;
constexpr std::string_view kShownStart = "...";
constexpr std::string_view kShownLineBreak = "↵";

std::string Place(std::string_view source, std::size_t at) {
  const auto before = source.substr(0, std::min(at, source.size()));
  const auto line_start = before.rfind('\n');
  return fmt::format("line {}, column {}", std::count(before.begin(), before.end(), '\n') + 1,
                     before.size() - (line_start == std::string_view::npos ? 0 : line_start + 1) + 1);
}

// The lexer's and the parser's exceptions hold the place only as a mark under an excerpt: "...excerpt...\n      ^".
std::optional<std::size_t> MarkedPlace(std::string_view text, std::string_view source) {
  const auto mark = text.rfind('^');
  const auto mark_line = text.rfind('\n', mark);
  if (mark == std::string_view::npos || mark_line == std::string_view::npos || mark_line == 0) return std::nullopt;
  const std::size_t column = mark - mark_line - 1;
  if (column < kShownStart.size()) return std::nullopt;
  const std::size_t shown = column - kShownStart.size();
  if (shown < kShownBefore) return shown;
  const auto excerpt_line = text.rfind('\n', mark_line - 1);
  std::string excerpt(text.substr(excerpt_line + 1, mark_line - excerpt_line - 1));
  for (auto at = excerpt.find(kShownLineBreak); at != std::string::npos; at = excerpt.find(kShownLineBreak, at + 1)) {
    excerpt.replace(at, kShownLineBreak.size(), "\n");
  }
  if (excerpt.size() < 2 * kShownStart.size()) return std::nullopt;
  const auto found = source.find(excerpt.substr(kShownStart.size(), excerpt.size() - 2 * kShownStart.size()));
  if (found == std::string_view::npos) return std::nullopt;
  return found + kShownBefore;
}

std::string FirstLine(std::string_view text) {
  text.remove_prefix(std::min(text.find_first_not_of(" \n"), text.size()));
  return std::string(text.substr(0, std::min(text.find('\n'), kMessageBytesMax)));
}

}  // namespace

std::string WhyTemplateDoesNotParse(const std::string& source) {
  try {
    jinja::lexer lexer;
    (void)jinja::parse_from_tokens(lexer.tokenize(source));
    return {};
  } catch (const std::runtime_error& e) {
    const std::string_view text = e.what();
    const auto place = MarkedPlace(text, source);
    std::string_view what = text;
    for (const std::string_view prefix : {"lexer: ", "parser: ", "Parser Error: "}) {
      if (what.starts_with(prefix)) what.remove_prefix(prefix.size());
    }
    return place ? fmt::format("{}: {}", Place(source, *place), FirstLine(what)) : FirstLine(what);
  }
}

std::string WhatTemplateSaid(std::string_view text) {
  std::string place;
  constexpr std::string_view kAt = " at line ";
  if (const auto at = text.rfind(kAt); at != std::string_view::npos) {
    const auto end = text.find(" in source", at);
    if (end != std::string_view::npos) place = std::string(text.substr(at + 4, end - at - 4)) + ": ";
  }
  for (const std::string_view mark : {"Jinja Exception: ", "Error: "}) {
    if (const std::size_t at = text.rfind(mark); at != std::string_view::npos) text.remove_prefix(at + mark.size());
  }
  return place + FirstLine(text);
}

}  // namespace allod::inference::engine::chat
