// One metered request: its journal slot from admission to the hand-over to the settler. Move-only; used by one
// coroutine.
//
// Once there is money for it (SetTerms), exactly one settlement follows, whatever path is taken: destroyed without
// Finish(), the request ends as our fault. Before that there is nothing to settle.
#pragma once

#include <chrono>
#include <string_view>

#include "allod/billing/v1/usage.pb.h"
#include "gateway/metering/journal.h"
#include "gateway/metering/settler.h"
#include "gateway/telemetry/instance_metrics.h"

namespace allod::gateway::metering {

class MeteredRequest {
 public:
  // Takes a slot. `operation` names the kind of request in metrics and must outlive it. UNAVAILABLE / JOURNAL_FULL.
  static Result<MeteredRequest> Admit(Journal& journal, Settler& settler, const JournalEntry& entry,
                                      std::string_view operation);
  MeteredRequest(MeteredRequest&& other) noexcept;
  MeteredRequest& operator=(MeteredRequest&&) = delete;
  ~MeteredRequest();

  // What money was taken for it: before it runs on these terms. The names have passed Journal::CheckNames().
  void SetTerms(const LeaseTerms& terms);
  // It may have so many: before those beyond are handed over.
  void SetCompletionTokensMax(std::int64_t tokens);
  // The worker accepted a prompt of that many tokens; `cached` of them were in its prefix cache.
  void SetPromptTokens(std::int64_t tokens, std::int64_t cached);
  std::int64_t prompt_tokens() const { return prompt_tokens_; }
  std::int64_t cached_prompt_tokens() const { return cached_prompt_tokens_; }
  // What is being handed over counts.
  std::int64_t delivered() const { return delivered_; }

  // The one end. Later calls do nothing.
  void Finish(billing::v1::Outcome outcome);

 private:
  friend class HandOver;

  MeteredRequest(Journal& journal, Settler& settler, telemetry::InstanceMetrics metrics, std::string_view operation,
                 int slot)
      : journal_(&journal), settler_(&settler), metrics_(std::move(metrics)), operation_(operation), slot_(slot) {}

  Journal* journal_;
  Settler* settler_;
  telemetry::InstanceMetrics metrics_;
  std::string_view operation_;
  int slot_;  // -1 once handed over
  bool has_terms_ = false;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::int64_t prompt_tokens_ = 0;
  std::int64_t cached_prompt_tokens_ = 0;
  std::int64_t delivered_ = 0;
};

// While it lives, that many tokens are being handed to the client's socket. They count from the beginning, so that
// whenever this process is killed none that was delivered is missing; unless the socket took them, they are taken back.
class HandOver {
 public:
  // kEnd: with these bytes the answer is complete, so a request whose gateway dies now has been answered.
  enum class Part { kPiece, kEnd };

  HandOver(MeteredRequest& request, std::int64_t tokens, Part part);
  ~HandOver();
  HandOver(const HandOver&) = delete;

  // The socket has taken them.
  void Done() { done_ = true; }

 private:
  void Add(std::int64_t tokens);

  MeteredRequest& request_;
  const std::int64_t tokens_;
  const Part part_;
  bool done_ = false;
};

}  // namespace allod::gateway::metering
