#include "inference/schema/code_points.h"

#include <algorithm>

#include "inference/schema/steps.h"

namespace allod::inference::schema {
namespace {

constexpr std::uint32_t kSurrogateFirst = 0xD800;
constexpr std::uint32_t kSurrogateLast = 0xDFFF;

}  // namespace

CodePoints::CodePoints(std::initializer_list<CodePointRange> ranges) {
  for (const CodePointRange& range : ranges) Add(range.first, range.last);
}

CodePoints CodePoints::All() { return CodePoints{{0, kCodePointMax}}; }

void CodePoints::Add(std::uint32_t first, std::uint32_t last) {
  last = std::min(last, kCodePointMax);
  if (first > last) return;
  if (first <= kSurrogateLast && last >= kSurrogateFirst) {
    if (first < kSurrogateFirst) Add(first, kSurrogateFirst - 1);
    if (last > kSurrogateLast) Add(kSurrogateLast + 1, last);
    return;
  }
  StepBudget::Spend(ranges_.size() + 1);
  std::vector<CodePointRange> merged;
  CodePointRange added{first, last};
  bool is_placed = false;
  for (const CodePointRange& range : ranges_) {
    if (range.last + 1 < added.first) {
      merged.push_back(range);
    } else if (added.last + 1 < range.first) {
      if (!is_placed) merged.push_back(added);
      is_placed = true;
      merged.push_back(range);
    } else {
      added = {std::min(added.first, range.first), std::max(added.last, range.last)};
    }
  }
  if (!is_placed) merged.push_back(added);
  ranges_ = std::move(merged);
}

CodePoints CodePoints::operator|(const CodePoints& other) const {
  CodePoints out = *this;
  for (const CodePointRange& range : other.ranges_) out.Add(range.first, range.last);
  return out;
}

CodePoints CodePoints::operator&(const CodePoints& other) const {
  StepBudget::Spend(ranges_.size() + other.ranges_.size() + 1);
  CodePoints out;
  for (auto a = ranges_.begin(), b = other.ranges_.begin(); a != ranges_.end() && b != other.ranges_.end();) {
    const std::uint32_t first = std::max(a->first, b->first);
    const std::uint32_t last = std::min(a->last, b->last);
    if (first <= last) out.ranges_.push_back({first, last});
    if (a->last < b->last) {
      ++a;
    } else {
      ++b;
    }
  }
  return out;
}

CodePoints CodePoints::Complement() const {
  CodePoints out;
  std::uint32_t next = 0;
  for (const CodePointRange& range : ranges_) {
    if (range.first > next) out.Add(next, range.first - 1);
    next = range.last + 1;
  }
  if (next <= kCodePointMax) out.Add(next, kCodePointMax);
  return out;
}

bool CodePoints::Contains(std::uint32_t code_point) const {
  StepBudget::Spend(ranges_.size());
  return std::ranges::any_of(ranges_,
                             [&](const CodePointRange& r) { return r.first <= code_point && code_point <= r.last; });
}

void AppendUtf8(std::uint32_t c, std::string& text) {
  const auto tail = [&](int shift) { text += static_cast<char>(0x80 | ((c >> shift) & 0x3F)); };
  if (c < 0x80) {
    text += static_cast<char>(c);
  } else if (c < 0x800) {
    text += static_cast<char>(0xC0 | (c >> 6));
    tail(0);
  } else if (c < 0x10000) {
    text += static_cast<char>(0xE0 | (c >> 12));
    tail(6);
    tail(0);
  } else {
    text += static_cast<char>(0xF0 | (c >> 18));
    tail(12);
    tail(6);
    tail(0);
  }
}

std::vector<std::uint32_t> Decode(std::string_view text) {
  std::vector<std::uint32_t> out;
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    std::uint32_t c = length == 1 ? lead : lead & (0x7FU >> length);
    for (std::size_t k = 1; k < length && i + k < text.size(); ++k) {
      c = (c << 6) | (static_cast<unsigned char>(text[i + k]) & 0x3FU);
    }
    out.push_back(c);
    i += length;
  }
  return out;
}

}  // namespace allod::inference::schema
