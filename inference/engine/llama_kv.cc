#include "inference/engine/llama_kv.h"

#include <llama.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace allod::inference::engine {
namespace {

// Shorter ones are not worth a sequence number.
constexpr std::int32_t kPrefixTokensMin = 8;
// Two steps of 256 cells, by which attention counts.
constexpr std::int32_t kKeptCellsMin = 512;
constexpr std::int32_t kSequencesAlone = 1;

}  // namespace

KvCache::KvCache(llama_context& context, const KvRoom::Limits& limits, bool keeps_prefixes)
    : context_(context), keeps_prefixes_(keeps_prefixes), room_(limits) {}

bool KvCache::Fits(const std::string& tenant, std::int32_t cells, std::int32_t slots) const {
  return room_.reserved() + cache_.tokens() + cells <= room_.limits().cells && room_.free_slots() >= slots &&
         room_.CellsOf(tenant) + cache_.TokensOf(tenant) + cells <= room_.limits().tenant_cells;
}

bool KvCache::MakeRoom(const std::string& tenant, std::int32_t cells, std::int32_t slots) {
  // What runs is not evicted; where that alone is too much, neither is anything else.
  if (room_.reserved() + cells > room_.limits().cells) return false;
  if (room_.CellsOf(tenant) + cells > room_.limits().tenant_cells) return false;
  while (!Fits(tenant, cells, slots)) {
    const bool is_own_limit = room_.CellsOf(tenant) + cache_.TokensOf(tenant) + cells > room_.limits().tenant_cells;
    PrefixCache::Entry* oldest = cache_.Oldest(is_own_limit ? &tenant : nullptr);
    if (oldest == nullptr) return false;
    Evict(*oldest);
  }
  return true;
}

bool KvCache::IsAtOwnLimit(const PendingGeneration& pending) const {
  const bool tenant_is = room_.SequencesOfTenant(pending.tenant) + pending.choices > room_.limits().tenant_sequences ||
                         room_.CellsOf(pending.tenant) + pending.tokens_max() > room_.limits().tenant_cells;
  return tenant_is || (pending.instance_sequences_max > 0 &&
                       room_.SequencesOfInstance(pending.instance) + pending.choices > pending.instance_sequences_max);
}

KvCache::Verdict KvCache::Decide(const PendingGeneration& pending) {
  if (room_.SequencesOfTenant(pending.tenant) + pending.choices > room_.limits().tenant_sequences) {
    return Verdict::kSkipTenant;
  }
  if (pending.instance_sequences_max > 0 &&
      room_.SequencesOfInstance(pending.instance) + pending.choices > pending.instance_sequences_max) {
    return Verdict::kSkipTenant;
  }
  if (!room_.LeavesRoom(pending.tenant, pending.tokens_max(), pending.choices)) return Verdict::kSkipTenant;
  if (room_.sequences() + pending.choices > room_.limits().sequences) return Verdict::kStop;

  const std::int32_t need = pending.tokens_max();
  // At least the last token of the prompt is computed: its logits are wanted.
  match_ = keeps_prefixes_ ? cache_.Find(pending.tenant, std::span(pending.prompt).first(pending.prompt.size() - 1))
                           : PrefixCache::Match{};
  if (match_.tokens < kPrefixTokensMin) match_ = {};
  if (match_.entry != nullptr) {
    PrefixCache::Entry& entry = *match_.entry;
    ++entry.pins;
    if (MakeRoom(pending.tenant, need - match_.tokens, pending.choices)) return Verdict::kTake;
    const bool is_cut = entry.pins == 1 && std::ssize(entry.tokens) > match_.tokens &&
                        llama_memory_seq_rm(llama_get_memory(&context_), entry.slot, match_.tokens, -1);
    if (is_cut) cache_.Cut(entry, match_.tokens);
    if (is_cut && MakeRoom(pending.tenant, need - match_.tokens, pending.choices)) return Verdict::kTake;
    --entry.pins;
    match_ = {};
  }
  if (MakeRoom(pending.tenant, need, pending.choices)) return Verdict::kTake;
  return room_.CellsOf(pending.tenant) + need > room_.limits().tenant_cells ? Verdict::kSkipTenant : Verdict::kStop;
}

std::unique_ptr<RunningGeneration> KvCache::Admit(PendingGeneration pending, const text::Vocabulary& vocabulary,
                                                  TokenTotals& totals) {
  std::vector<std::int32_t> slots;
  for (std::int32_t i = 0; i < pending.choices; ++i) slots.push_back(room_.TakeSlot());
  auto generation = std::make_unique<RunningGeneration>(std::move(pending), vocabulary, totals, slots);
  const PendingGeneration& request = generation->request;
  generation->reserved = request.tokens_max() - match_.tokens;
  room_.Reserve(request.tenant, request.instance, generation->reserved, request.choices);
  if (match_.entry != nullptr) {
    llama_memory_seq_cp(llama_get_memory(&context_), match_.entry->slot, slots.front(), 0, match_.tokens);
    cache_.Touch(*match_.entry);
    generation->shared = match_.entry;
    generation->cached = generation->prompt_in_cache = match_.tokens;
  }
  match_ = {};
  return generation;
}

void KvCache::TrimKept() {
  if (room_.sequences() <= kSequencesAlone) return;
  const std::int32_t most = std::max(kKeptCellsMin, room_.reserved() / 2);
  while (cache_.tokens() > most) {
    PrefixCache::Entry* oldest = cache_.Oldest(nullptr);
    if (oldest == nullptr) return;
    Evict(*oldest);
  }
}

void KvCache::ShareWithChoices(const RunningGeneration& generation) {
  const std::int32_t from = generation.choices.front().slot;
  for (const RunningGeneration::Choice& choice : generation.choices) {
    if (choice.slot != from) llama_memory_seq_cp(llama_get_memory(&context_), from, choice.slot, -1, -1);
  }
}

void KvCache::Release(RunningGeneration& generation, bool keep) {
  const PendingGeneration& request = generation.request;
  if (generation.shared != nullptr) --generation.shared->pins;
  room_.Release(request.tenant, request.instance, generation.reserved, request.choices);
  const bool kept = keep && keeps_prefixes_ && Keep(generation);
  for (const RunningGeneration::Choice& choice : generation.choices) {
    if (!kept || choice.index != 0) FreeSlot(choice.slot);
  }
}

// The first choice's tokens become an entry, in the place of entries that they continue.
bool KvCache::Keep(RunningGeneration& generation) {
  const RunningGeneration::Choice& choice = generation.choices.front();
  std::vector<std::int32_t> tokens(generation.request.prompt.begin(),
                                   generation.request.prompt.begin() + generation.prompt_in_cache);
  tokens.insert(tokens.end(), choice.decoded.begin(), choice.decoded.end());
  if (std::ssize(tokens) < kPrefixTokensMin) return false;
  const std::string& tenant = generation.request.tenant;
  while (true) {
    const PrefixCache::Match match = cache_.Find(tenant, tokens);
    if (match.entry == nullptr) break;
    if (match.tokens == std::ssize(tokens)) return false;  // it is there already
    const bool is_continued = match.tokens == std::ssize(match.entry->tokens) && match.entry->pins == 0;
    if (!is_continued) break;
    Evict(*match.entry);
  }
  const auto cells = static_cast<std::int32_t>(tokens.size());
  if (!MakeRoom(tenant, cells, 0)) return false;
  cache_.Add(tenant, std::move(tokens), choice.slot);
  return true;
}

void KvCache::Evict(PrefixCache::Entry& entry) {
  FreeSlot(entry.slot);
  cache_.Remove(entry);
}

void KvCache::FreeSlot(std::int32_t slot) {
  llama_memory_seq_rm(llama_get_memory(&context_), slot, -1, -1);
  room_.GiveSlot(slot);
}

}  // namespace allod::inference::engine
