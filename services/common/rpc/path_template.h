// Path templates of google.api.http annotations: `/v1/{name=tenants/*/projects/*}:revoke`. Pure.
//
//   Template = "/" Segments [ ":" Verb ]        Segments = Segment { "/" Segment }
//   Segment  = "*" | "**" | LITERAL | "{" FieldPath [ "=" Segments ] "}"
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "services/common/result.h"

namespace allod {

class PathTemplate {
 public:
  // Field path and decoded value.
  using Bindings = std::vector<std::pair<std::string, std::string>>;

  // INVALID_ARGUMENT / INVALID_PATH_TEMPLATE; `**` is only allowed as the last segment.
  static Result<PathTemplate> Parse(std::string_view text);

  // `path` as it came, percent-encoded. A segment whose decoded form holds a '/' or is empty does not match.
  std::optional<Bindings> Match(std::string_view path) const;

  // The other way: the path, percent-encoded, with what `value_of` says of each field in the place of its variable.
  // Nothing if a value does not fit there, or a place has no variable.
  std::optional<std::string> Fill(const std::function<std::string(const std::string& field)>& value_of) const;

  enum class Kind { kLiteral, kOne, kRest };
  struct Segment {
    Kind kind;
    std::string literal;
  };
  struct Variable {
    std::string field;
    std::size_t begin;  // segments [begin, end)
    std::size_t end;
  };
  const std::vector<Segment>& segments() const { return segments_; }
  const std::vector<Variable>& variables() const { return variables_; }
  const std::string& verb() const { return verb_; }

 private:
  Status AddSegments(std::string_view text);
  Status AddSegment(std::string_view text);

  std::vector<Segment> segments_;
  std::vector<Variable> variables_;
  std::string verb_;
};

}  // namespace allod
