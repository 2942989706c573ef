#include "gateway/metering/metered_request.h"

#include <utility>

namespace allod::gateway::metering {

Result<MeteredRequest> MeteredRequest::Admit(Journal& journal, Settler& settler, const JournalEntry& entry,
                                             std::string_view operation) {
  ALLOD_TRY(const int slot, journal.Take(entry));
  return MeteredRequest(journal, settler, telemetry::MetricsOf(entry.instance), operation, slot);
}

MeteredRequest::MeteredRequest(MeteredRequest&& other) noexcept
    : journal_(other.journal_),
      settler_(other.settler_),
      metrics_(std::move(other.metrics_)),
      operation_(other.operation_),
      slot_(std::exchange(other.slot_, -1)),
      has_terms_(other.has_terms_),
      start_(other.start_),
      prompt_tokens_(other.prompt_tokens_),
      cached_prompt_tokens_(other.cached_prompt_tokens_),
      delivered_(other.delivered_) {}

MeteredRequest::~MeteredRequest() { Finish(billing::v1::OUTCOME_FAULT); }

void MeteredRequest::SetTerms(const LeaseTerms& terms) {
  journal_->SetTerms(slot_, terms);
  has_terms_ = true;
}

void MeteredRequest::SetCompletionTokensMax(std::int64_t tokens) { journal_->SetCompletionTokensMax(slot_, tokens); }

void MeteredRequest::SetPromptTokens(std::int64_t tokens, std::int64_t cached) {
  prompt_tokens_ = tokens;
  cached_prompt_tokens_ = cached;
  journal_->SetPromptTokens(slot_, tokens);
}

void MeteredRequest::Finish(billing::v1::Outcome outcome) {
  if (slot_ < 0) return;
  const int slot = std::exchange(slot_, -1);
  if (!has_terms_) return journal_->Free(slot);
  journal_->Finalise(slot, static_cast<std::uint32_t>(outcome));
  settler_->Enqueue(slot);
  metrics_.FinishRequest(operation_, billing::v1::Outcome_Name(outcome), std::chrono::steady_clock::now() - start_);
  metrics_.CountTokens(prompt_tokens_, cached_prompt_tokens_, delivered_);
}

HandOver::HandOver(MeteredRequest& request, std::int64_t tokens, Part part)
    : request_(request), tokens_(tokens), part_(part) {
  Add(tokens_);
  if (part_ == Part::kEnd) request_.journal_->SetOutcomeIfLost(request_.slot_, billing::v1::OUTCOME_COMPLETED);
}

HandOver::~HandOver() {
  if (done_) return;
  if (part_ == Part::kEnd) request_.journal_->SetOutcomeIfLost(request_.slot_, billing::v1::OUTCOME_UNSPECIFIED);
  Add(-tokens_);
}

void HandOver::Add(std::int64_t tokens) {
  request_.delivered_ += tokens;
  request_.journal_->AddCompletionTokens(request_.slot_, tokens);
}

}  // namespace allod::gateway::metering
