#include "inference/engine/prefix_cache.h"

#include <algorithm>
#include <utility>

namespace allod::inference::engine {

PrefixCache::Match PrefixCache::Find(const std::string& tenant, std::span<const std::int32_t> prompt) {
  Match best;
  for (Entry& entry : entries_) {
    if (entry.tenant != tenant) continue;
    const auto differs = std::ranges::mismatch(entry.tokens, prompt).in1;
    const auto same = static_cast<std::int32_t>(differs - entry.tokens.begin());
    if (same > best.tokens) best = {&entry, same};
  }
  return best;
}

PrefixCache::Entry& PrefixCache::Add(std::string tenant, std::vector<std::int32_t> tokens, std::int32_t slot) {
  tokens_ += static_cast<std::int32_t>(tokens.size());
  return entries_.emplace_back(Entry{std::move(tenant), std::move(tokens), slot});
}

void PrefixCache::Touch(Entry& entry) {
  const auto it = std::ranges::find(entries_, &entry, [](const Entry& one) { return &one; });
  entries_.splice(entries_.end(), entries_, it);
}

void PrefixCache::Cut(Entry& entry, std::int32_t tokens) {
  tokens_ -= static_cast<std::int32_t>(entry.tokens.size()) - tokens;
  entry.tokens.resize(static_cast<std::size_t>(tokens));
}

void PrefixCache::Remove(Entry& entry) {
  tokens_ -= static_cast<std::int32_t>(entry.tokens.size());
  entries_.remove_if([&](const Entry& one) { return &one == &entry; });
}

PrefixCache::Entry* PrefixCache::Oldest(const std::string* tenant) {
  const auto found = std::ranges::find_if(
      entries_, [&](const Entry& entry) { return entry.pins == 0 && (tenant == nullptr || entry.tenant == *tenant); });
  return found == entries_.end() ? nullptr : &*found;
}

std::int32_t PrefixCache::TokensOf(const std::string& tenant) const {
  std::int32_t tokens = 0;
  for (const Entry& entry : entries_) {
    if (entry.tenant == tenant) tokens += static_cast<std::int32_t>(entry.tokens.size());
  }
  return tokens;
}

}  // namespace allod::inference::engine
