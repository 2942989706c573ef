#include "gateway/metering.h"

#include <utility>

#include "gateway/gateway_metrics.h"

namespace allod::gateway {

Result<MeteredRequest> MeteredRequest::Admit(Journal& journal, Settler& settler, const JournalEntry& entry) {
  ALLOD_TRY(const int slot, journal.Take(entry));
  return MeteredRequest(journal, settler, slot);
}

MeteredRequest::MeteredRequest(MeteredRequest&& other) noexcept
    : journal_(other.journal_),
      settler_(other.settler_),
      slot_(std::exchange(other.slot_, -1)),
      prompt_tokens_(other.prompt_tokens_),
      delivered_(other.delivered_) {}

MeteredRequest::~MeteredRequest() { Finish(billing::v1::OUTCOME_FAULT); }

void MeteredRequest::MarkReserved() { journal_->MarkReserved(slot_); }

void MeteredRequest::SetPromptTokens(std::int64_t tokens) {
  prompt_tokens_ = tokens;
  journal_->SetPromptTokens(slot_, tokens);
}

void MeteredRequest::AddDelivered(std::int64_t tokens) {
  delivered_ += tokens;
  journal_->AddCompletionTokens(slot_, tokens);
}

void MeteredRequest::Finish(billing::v1::Outcome outcome) {
  if (slot_ < 0) return;
  const int slot = std::exchange(slot_, -1);
  journal_->Finalise(slot, static_cast<std::uint32_t>(outcome));
  settler_->Enqueue(slot);
  CountGeneration(billing::v1::Outcome_Name(outcome));
  CountTokens(prompt_tokens_, delivered_);
}

void MeteredRequest::Drop() {
  if (slot_ >= 0) journal_->Free(std::exchange(slot_, -1));
}

}  // namespace allod::gateway
