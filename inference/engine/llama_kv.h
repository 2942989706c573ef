// The KV cache of a context: admits generations into it, keeps what they leave, and frees it. Internal to
// llama_decode_loop.cc; on the decode thread.
//
// The cache is unified: cells belong to any number of sequences, so sharing a prefix or a prompt between sequences is
// bookkeeping and copies nothing.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "inference/engine/kv_room.h"
#include "inference/engine/llama_running.h"
#include "inference/engine/prefix_cache.h"
#include "inference/fairness/fair_queue.h"

struct llama_context;

namespace allod::inference::engine {

class KvCache {
 public:
  using Verdict = fairness::FairQueue<PendingGeneration>::Verdict;

  // `keeps_prefixes`: of finished generations. The context must outlive it.
  KvCache(llama_context& context, const KvRoom::Limits& limits, bool keeps_prefixes);

  // Whether a generation may start now. When it says kTake, room was made, and Admit must follow.
  Verdict Decide(const PendingGeneration& pending);
  // Whether it is its own tenant or instance that runs as much as it may.
  bool IsAtOwnLimit(const PendingGeneration& pending) const;
  std::unique_ptr<RunningGeneration> Admit(PendingGeneration pending, const text::Vocabulary& vocabulary,
                                           TokenTotals& totals);
  // Gives up kept prefixes that would slow what runs: call it after admissions. Attention passes over every cell that
  // is in use, whoever's it is, for each row: with small models thousands of idle cells cost a fifth of a step. So
  // while several sequences run there are half as many idle cells as reserved ones, or a few hundred; while one or none
  // runs all that fit are kept.
  void TrimKept();
  // The prompt is computed: the other choices get it too.
  void ShareWithChoices(const RunningGeneration& generation);
  // Frees what it holds. `keep`: what was computed may be reused.
  void Release(RunningGeneration& generation, bool keep);

  std::int32_t cells_reserved() const { return room_.reserved(); }
  std::int32_t cells_cached() const { return cache_.tokens(); }
  std::int32_t cells() const { return room_.limits().cells; }

 private:
  bool MakeRoom(const std::string& tenant, std::int32_t cells, std::int32_t slots);
  bool Fits(const std::string& tenant, std::int32_t cells, std::int32_t slots) const;
  void Evict(PrefixCache::Entry& entry);
  bool Keep(RunningGeneration& generation);
  void FreeSlot(std::int32_t slot);

  llama_context& context_;
  const bool keeps_prefixes_;
  KvRoom room_;
  PrefixCache cache_;
  PrefixCache::Match match_;  // of the last Decide that said kTake; its entry is pinned
};

}  // namespace allod::inference::engine
