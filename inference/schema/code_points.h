// Sets of Unicode code points: sorted ranges that neither touch nor overlap. Surrogates are never in them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace allod::inference::schema {

inline constexpr std::uint32_t kCodePointMax = 0x10FFFF;

struct CodePointRange {
  std::uint32_t first = 0;
  std::uint32_t last = 0;
  auto operator<=>(const CodePointRange&) const = default;
};

class CodePoints {
 public:
  CodePoints() = default;
  CodePoints(std::initializer_list<CodePointRange> ranges);

  static CodePoints All();
  void Add(std::uint32_t first, std::uint32_t last);
  CodePoints operator|(const CodePoints& other) const;
  CodePoints operator&(const CodePoints& other) const;
  CodePoints Complement() const;

  bool empty() const { return ranges_.empty(); }
  bool Contains(std::uint32_t code_point) const;
  const std::vector<CodePointRange>& ranges() const { return ranges_; }
  auto operator<=>(const CodePoints&) const = default;

 private:
  std::vector<CodePointRange> ranges_;
};

// UTF-8; `text` must be valid.
void AppendUtf8(std::uint32_t code_point, std::string& text);
std::vector<std::uint32_t> Decode(std::string_view text);

}  // namespace allod::inference::schema
