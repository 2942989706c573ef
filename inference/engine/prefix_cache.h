// The prompts and answers whose keys and values are still in the KV cache after their generation ended, to be reused by
// the next prompt that begins the same.
//
// Entries belong to a tenant and are found by no other: how fast an answer starts would else tell one tenant what
// another has asked (CVE-2025-46570). One cache serves one base model without adapters; with adapters the adapter's
// digest must become part of the key. Only the bookkeeping is here; the cells belong to the sequence number (slot) of
// an entry. Pure; for one thread.
#pragma once

#include <cstdint>
#include <list>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace allod::inference::engine {

class PrefixCache {
 public:
  struct Entry {
    std::string tenant;
    std::vector<std::int32_t> tokens;
    std::int32_t slot = 0;
    std::int32_t pins = 0;  // generations that share its cells; a pinned entry is not evicted
  };

  struct Match {
    Entry* entry = nullptr;
    std::int32_t tokens = 0;  // how many at the front are the same
  };
  // The longest common prefix with an entry of the tenant. No entry when nothing matches.
  Match Find(const std::string& tenant, std::span<const std::int32_t> prompt);

  // The newest entry. Pointers to entries stay valid until they are removed.
  Entry& Add(std::string tenant, std::vector<std::int32_t> tokens, std::int32_t slot);
  void Touch(Entry& entry);  // makes it the newest
  void Cut(Entry& entry, std::int32_t tokens);
  void Remove(Entry& entry);
  // The oldest one that is not pinned, of `tenant` if given; null if there is none.
  Entry* Oldest(const std::string* tenant = nullptr);

  std::int32_t tokens() const { return tokens_; }
  std::int32_t TokensOf(const std::string& tenant) const;
  std::int32_t size() const { return static_cast<std::int32_t>(entries_.size()); }

 private:
  std::list<Entry> entries_;  // oldest first
  std::int32_t tokens_ = 0;
};

}  // namespace allod::inference::engine
