// Permissions, "area.collection.verb", and sets of them as patterns in which "*" stands for any word. Pure.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace allod {

// Whether it is "area.collection.verb", each of letters.
bool IsPermission(std::string_view text);
// The same, where each may be "*".
bool IsPermissionPattern(std::string_view text);
// Whether everything that `inner` stands for, `outer` stands for.
bool IsWithin(std::string_view inner, std::string_view outer);

// One, made ready to be asked for often: what a method needs.
class Permission {
 public:
  Permission() = default;
  explicit Permission(std::string_view text);
  const std::string& text() const { return forms_.front(); }

 private:
  friend class Permissions;
  static constexpr std::size_t kForms = 8;
  // Every pattern that has it: the i-th has "*" for the area if i & 1, the collection if i & 2, the verb if i & 4.
  std::array<std::string, kForms> forms_;
  std::array<std::size_t, kForms> hashes_{};
};

// A set, as patterns: sorted, each once, none within another. A value.
class Permissions {
 public:
  Permissions() = default;
  // What is no pattern is left out.
  explicit Permissions(std::vector<std::string> patterns);

  const std::vector<std::string>& patterns() const { return patterns_; }
  bool empty() const { return patterns_.empty(); }
  // Costs a look-up for each of the forms ("*.*.get", ...) that are in it, whatever its size.
  bool Has(const Permission& permission) const;

  // "scheduling.instances.get|list+tenancy.apiKeys.*": what has the same area and collection stands together.
  std::string ToText() const;
  // Nothing for what is no such text.
  static std::optional<Permissions> Parse(std::string_view text);

  bool operator==(const Permissions& other) const { return patterns_ == other.patterns_; }

 private:
  struct Place {
    std::size_t hash;
    std::uint32_t at;  // in patterns_
  };
  std::vector<std::string> patterns_;
  std::vector<Place> places_;  // by hash
  std::uint8_t forms_ = 0;     // those that are in it, as bits
};

}  // namespace allod
