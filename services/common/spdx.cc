#include "services/common/spdx.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <span>

#include "services/common/spdx_lists.h"

namespace allod {
namespace {

constexpr int kDepthMax = 16;

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool SameIgnoringCase(std::string_view a, std::string_view b) { return std::ranges::equal(a, b, {}, Lower, Lower); }

std::optional<std::string_view> Find(std::span<const std::string_view> ids, std::string_view word) {
  const auto found = std::ranges::find_if(ids, [&](std::string_view id) { return SameIgnoringCase(id, word); });
  return found == ids.end() ? std::nullopt : std::optional(*found);
}

bool IsIdString(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-';
  });
}

// [DocumentRef-NAME:]LicenseRef-NAME
bool IsReference(std::string_view word) {
  constexpr std::string_view kDocument = "DocumentRef-";
  constexpr std::string_view kLicense = "LicenseRef-";
  if (word.starts_with(kDocument)) {
    const auto colon = word.find(':');
    if (colon == std::string_view::npos || !IsIdString(word.substr(kDocument.size(), colon - kDocument.size()))) {
      return false;
    }
    word.remove_prefix(colon + 1);
  }
  return word.starts_with(kLicense) && IsIdString(word.substr(kLicense.size()));
}

class Parser {
 public:
  Parser(std::string_view field, std::string_view text) : field_(field), text_(text) { Advance(); }

  Result<std::string> All() {
    ALLOD_TRY(std::string all, Either(0));
    if (!word_.empty()) return Wrong("AND, OR or the end is expected");
    return all;
  }

 private:
  // The next bracket or word becomes `word_`; empty at the end.
  void Advance() {
    const std::size_t start = std::min(text_.find_first_not_of(' ', end_), text_.size());
    std::size_t end = start;
    if (start < text_.size() && (text_[start] == '(' || text_[start] == ')')) {
      ++end;
    } else {
      end = std::min(text_.find_first_of(" ()", start), text_.size());
    }
    word_ = text_.substr(start, end - start);
    start_ = start;
    end_ = end;
  }

  std::unexpected<Error> Wrong(std::string_view what) const {
    return InvalidArgument("INVALID_LICENSE",
                           fmt::format("{}: '{}' is no SPDX expression: {} at character {}{}; write for example "
                                       "Apache-2.0, MIT OR GPL-2.0-or-later, or LicenseRef-NAME for terms of your own",
                                       field_, text_, what, start_ + 1,
                                       word_.empty() ? " (the end)" : fmt::format(", where '{}' stands", word_)));
  }

  Result<std::string> Either(int depth) {
    ALLOD_TRY(std::string all, Both(depth));
    while (word_ == "OR") {
      Advance();
      ALLOD_TRY(const std::string next, Both(depth));
      all += " OR " + next;
    }
    return all;
  }

  Result<std::string> Both(int depth) {
    ALLOD_TRY(std::string all, One(depth));
    while (word_ == "AND") {
      Advance();
      ALLOD_TRY(const std::string next, One(depth));
      all += " AND " + next;
    }
    return all;
  }

  Result<std::string> One(int depth) {
    if (word_ == "(") {
      if (depth == kDepthMax) return Wrong("at most 16 brackets may be open");
      Advance();
      ALLOD_TRY(const std::string inner, Either(depth + 1));
      if (word_ != ")") return Wrong("')' is expected");
      Advance();
      return "(" + inner + ")";
    }
    ALLOD_TRY(std::string license, License());
    if (word_ != "WITH") return license;
    Advance();
    const auto exception = Find(kSpdxExceptionIds, word_);
    if (!exception) return Wrong("an exception of SPDX's list is expected");
    Advance();
    return license + " WITH " + std::string(*exception);
  }

  Result<std::string> License() {
    const std::string_view word = word_;
    if (IsReference(word)) {
      Advance();
      return std::string(word);
    }
    // "or any later version", where the identifier does not say so itself.
    const bool or_later = word.ends_with('+');
    if (const auto id = Find(kSpdxLicenseIds, or_later ? word.substr(0, word.size() - 1) : word)) {
      Advance();
      return std::string(*id) + (or_later ? "+" : "");
    }
    if (const auto id = Find(kSpdxLicenseIds, word)) {  // some deprecated identifiers end with a plus themselves
      Advance();
      return std::string(*id);
    }
    return Wrong("a licence of SPDX's list is expected");
  }

  std::string_view field_;
  std::string_view text_;
  std::string_view word_;
  std::size_t start_ = 0;
  std::size_t end_ = 0;
};

}  // namespace

Result<std::string> NormaliseLicense(std::string_view field, std::string_view expression) {
  if (expression.size() > kLicenseBytesMax) {
    return InvalidArgument("INVALID_LICENSE", fmt::format("{}: {} bytes; an SPDX expression of at most {} is expected",
                                                          field, expression.size(), kLicenseBytesMax));
  }
  const auto printable = [](char c) { return c >= ' ' && c < 0x7f; };
  if (!std::ranges::all_of(expression, printable)) {
    return InvalidArgument("INVALID_LICENSE", fmt::format("{}: an SPDX expression has letters, digits, blanks and "
                                                          "-.+:() only",
                                                          field));
  }
  return Parser(field, expression).All();
}

}  // namespace allod
