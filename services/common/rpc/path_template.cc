#include "services/common/rpc/path_template.h"

#include <fmt/format.h>

#include <algorithm>

#include "services/common/percent.h"

namespace allod {
namespace {

std::unexpected<Error> BrokenTemplate(std::string_view text, std::string_view why) {
  return InvalidArgument("INVALID_PATH_TEMPLATE", fmt::format("path template {}: {}", text, why));
}

// Splits at '/' outside braces.
std::vector<std::string_view> SplitSegments(std::string_view text) {
  std::vector<std::string_view> out;
  std::size_t begin = 0;
  int depth = 0;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    if (i == text.size() || (text[i] == '/' && depth == 0)) {
      out.push_back(text.substr(begin, i - begin));
      begin = i + 1;
    } else if (text[i] == '{') {
      ++depth;
    } else if (text[i] == '}') {
      --depth;
    }
  }
  return out;
}

}  // namespace

Result<PathTemplate> PathTemplate::Parse(std::string_view text) {
  PathTemplate out;
  if (!text.starts_with('/')) return BrokenTemplate(text, "must start with '/'");
  std::string_view rest = text.substr(1);
  const std::size_t colon = rest.rfind(':');
  if (colon != std::string_view::npos && rest.find('}', colon) == std::string_view::npos) {
    out.verb_ = rest.substr(colon + 1);
    rest = rest.substr(0, colon);
    if (out.verb_.empty()) return BrokenTemplate(text, "empty verb");
  }
  if (auto status = out.AddSegments(rest); !status) return BrokenTemplate(text, status.error().message);
  for (std::size_t i = 0; i + 1 < out.segments_.size(); ++i) {
    if (out.segments_[i].kind == Kind::kRest) return BrokenTemplate(text, "'**' must be last");
  }
  return out;
}

Status PathTemplate::AddSegments(std::string_view text) {
  for (const std::string_view segment : SplitSegments(text)) ALLOD_CHECK_OK(AddSegment(segment));
  return {};
}

Status PathTemplate::AddSegment(std::string_view text) {
  if (text.empty()) return BrokenTemplate(text, "empty segment");
  if (text.front() != '{') {
    const Kind kind = text == "*" ? Kind::kOne : text == "**" ? Kind::kRest : Kind::kLiteral;
    if (kind == Kind::kLiteral && text.find_first_of("{}*") != std::string_view::npos)
      return BrokenTemplate(text, "stray brace or '*'");
    segments_.push_back({kind, kind == Kind::kLiteral ? std::string(text) : ""});
    return {};
  }
  if (text.back() != '}') return BrokenTemplate(text, "'}' is missing");
  const std::string_view inner = text.substr(1, text.size() - 2);
  if (inner.find('{') != std::string_view::npos) return BrokenTemplate(text, "variables do not nest");
  const std::size_t equals = inner.find('=');
  const std::size_t begin = segments_.size();
  ALLOD_CHECK_OK(AddSegments(equals == std::string_view::npos ? "*" : inner.substr(equals + 1)));
  variables_.push_back({std::string(inner.substr(0, equals)), begin, segments_.size()});
  return {};
}

std::optional<PathTemplate::Bindings> PathTemplate::Match(std::string_view path) const {
  if (!path.starts_with('/')) return std::nullopt;
  path.remove_prefix(1);
  if (!verb_.empty()) {
    if (!path.ends_with(":" + verb_)) return std::nullopt;
    path.remove_suffix(verb_.size() + 1);
  }
  std::vector<std::string> decoded;
  for (const std::string_view segment : SplitSegments(path)) {
    auto text = PercentDecode("path", segment);
    if (!text || text->empty() || text->find('/') != std::string::npos) return std::nullopt;
    decoded.push_back(*std::move(text));
  }
  const bool has_rest = !segments_.empty() && segments_.back().kind == Kind::kRest;
  if (has_rest ? decoded.size() < segments_.size() : decoded.size() != segments_.size()) return std::nullopt;
  for (std::size_t i = 0; i < segments_.size(); ++i) {
    if (segments_[i].kind == Kind::kLiteral && segments_[i].literal != decoded[i]) return std::nullopt;
  }
  Bindings out;
  for (const Variable& variable : variables_) {
    const bool takes_rest = has_rest && variable.end == segments_.size();
    const std::size_t end = takes_rest ? decoded.size() : variable.end;
    std::string value;
    for (std::size_t i = variable.begin; i < end; ++i) value += (i == variable.begin ? "" : "/") + decoded[i];
    out.emplace_back(variable.field, std::move(value));
  }
  return out;
}

std::optional<std::string> PathTemplate::Fill(
    const std::function<std::string(const std::string& field)>& value_of) const {
  std::vector<std::string> texts(segments_.size());
  std::vector<bool> filled(segments_.size());
  for (const Variable& variable : variables_) {
    const std::string value = value_of(variable.field);
    const std::vector<std::string_view> parts = SplitSegments(value);
    const bool takes_rest = variable.end == segments_.size() && segments_.back().kind == Kind::kRest;
    const std::size_t count = variable.end - variable.begin;
    if (takes_rest ? parts.size() < count : parts.size() != count) return std::nullopt;
    for (std::size_t i = 0; i < parts.size(); ++i) {
      if (parts[i].empty()) return std::nullopt;
      const std::size_t at = std::min(variable.begin + i, variable.end - 1);
      const bool is_literal = segments_[at].kind == Kind::kLiteral;
      if (is_literal && segments_[at].literal != parts[i]) return std::nullopt;
      texts[at] += (filled[at] ? "/" : "") + PercentEncode(parts[i]);
      filled[at] = true;
    }
  }
  std::string out;
  for (std::size_t i = 0; i < segments_.size(); ++i) {
    if (!filled[i] && segments_[i].kind != Kind::kLiteral) return std::nullopt;
    out += "/" + (filled[i] ? texts[i] : segments_[i].literal);
  }
  return verb_.empty() ? out : out + ":" + verb_;
}

}  // namespace allod
