// The part of DecodeLoop that makes the batch of a step: who takes part, with how many rows.
#include <llama.h>

#include <algorithm>
#include <limits>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "inference/engine/llama_decode_loop.h"

namespace allod::inference::engine {
namespace {

// The processor multiplies four rows in the time of one.
constexpr std::int32_t kRowsAtOnce = 4;
// A tenant that was not here for as long is no neighbour any more.
constexpr std::chrono::seconds kNeighbourGone{1};
// Seconds that a tenant may have to catch up with the most served, so that nobody sits out for longer.
constexpr double kBehindMax = 1;

}  // namespace

std::int32_t DecodeLoop::AddDecodeRows(RunningGeneration& generation, std::int32_t rows) {
  std::int32_t added = 0;
  for (RunningGeneration::Choice& choice : generation.choices) {
    if (!choice.can_decode() || added == rows) continue;
    const auto position = generation.request.prompt.size() + choice.decoded.size();
    choice.output_index = batch_->n_tokens;
    AddToBatch(*batch_, choice.next_token, static_cast<std::int32_t>(position), choice.slot, true);
    ++added;
  }
  if (added > 0) in_step_.push_back(&generation);
  step_decode_ += added;
  return added;
}

std::int32_t DecodeLoop::AddChunk(RunningGeneration& generation, std::int32_t rows) {
  const std::vector<std::int32_t>& prompt = generation.request.prompt;
  const auto whole = static_cast<std::int32_t>(prompt.size());
  RunningGeneration::Choice& first = generation.choices.front();
  generation.chunk = std::min(rows, whole - generation.prompt_in_cache);
  const std::int32_t end = generation.prompt_in_cache + generation.chunk;
  for (std::int32_t at = generation.prompt_in_cache; at < end; ++at) {
    if (at + 1 == whole) first.output_index = batch_->n_tokens;
    AddToBatch(*batch_, prompt[static_cast<std::size_t>(at)], at, first.slot, at + 1 == whole);
  }
  in_step_.push_back(&generation);
  step_prompt_ += generation.chunk;
  return generation.chunk;
}

// Those that take part in this step, the least served first, and what it may take.
std::vector<RunningGeneration*> DecodeLoop::TakePart(const ports::TurnGate::Turn& turn,
                                                     std::chrono::duration<double>& budget) {
  std::vector<RunningGeneration*> able;
  std::map<std::string, StepTenant> tenants;
  for (const auto& generation : running_) {
    generation->chunk = 0;
    for (RunningGeneration::Choice& choice : generation->choices) choice.output_index = -1;
    if (!generation->is_prefilling() && !CanDecode(*generation)) continue;
    able.push_back(generation.get());
    StepTenant& tenant = tenants[generation->request.tenant];
    if (!generation->is_prefilling()) tenant.decode_rows += generation->decodable_choices();
  }
  if (able.empty()) return able;
  LevelOut(tenants);
  const bool is_another = !last_tenants_.empty() && !last_tenants_.contains(tenants.begin()->first);
  if (tenants.size() > 1 || is_another) last_shared_ = std::chrono::steady_clock::now();
  std::vector<StepTenant> wishes;
  for (const auto& [name, tenant] : tenants) wishes.push_back(tenant);
  const StepPlan plan =
      PlanStep(wishes, cost_, std::chrono::duration<double>(turn.budget).count(), HasNeighbours(), turn.contended);
  budget = std::chrono::duration<double>(plan.budget);
  std::set<std::string> sits_out;
  std::size_t at = 0;
  for (const auto& [name, tenant] : tenants) {
    if (!plan.takes_part[at++]) sits_out.insert(name);
  }
  std::erase_if(able, [&](const auto* one) { return sits_out.contains(one->request.tenant); });
  // Of level ones those that come now.
  std::ranges::stable_sort(able, {}, [&](const auto* one) {
    const std::string& tenant = one->request.tenant;
    return std::pair(tenants.at(tenant).served, last_tenants_.contains(tenant));
  });
  last_tenants_.clear();
  for (const RunningGeneration* one : able) last_tenants_.insert(one->request.tenant);
  return able;
}

// Reads the counters. Who could not take part, because its readers stall or its draws are not done, does not come back
// with more to catch up than the others have.
void DecodeLoop::LevelOut(std::map<std::string, StepTenant>& tenants) {
  const std::lock_guard lock(queue_mutex_);
  double least = std::numeric_limits<double>::infinity();
  double most = 0;
  for (auto& [name, tenant] : tenants) {
    tenant.served = queue_.ServedOf(name);
    least = std::min(least, tenant.served);
    most = std::max(most, tenant.served);
  }
  for (auto& [name, tenant] : tenants) {
    queue_.Rise(name, most - kBehindMax);
    tenant.served = queue_.ServedOf(name);
  }
  for (const auto& generation : running_) {
    if (!tenants.contains(generation->request.tenant)) queue_.Rise(generation->request.tenant, least);
  }
}

bool DecodeLoop::HasNeighbours() const { return std::chrono::steady_clock::now() - last_shared_ < kNeighbourGone; }

bool DecodeLoop::FillBatch(const ports::TurnGate::Turn& turn) {
  batch_->n_tokens = 0;
  scratch_.Forget();
  in_step_.clear();
  std::chrono::duration<double> budget = turn.budget;
  const std::vector<RunningGeneration*> able = TakePart(turn, budget);
  if (able.empty()) return false;
  std::vector<RunningGeneration*> decoding;
  std::vector<RunningGeneration*> prefilling;
  std::int32_t decode_rows = 0;
  for (RunningGeneration* generation : able) {
    (generation->is_prefilling() ? prefilling : decoding).push_back(generation);
    if (!generation->is_prefilling()) decode_rows += generation->decodable_choices();
  }
  const std::int32_t fit = cost_.RowsWithin(budget, options_.chunk_tokens_max);
  std::int32_t rows_decode = decode_rows;
  std::int32_t rows_prefill = std::max(HasNeighbours() ? kRowsAtOnce : kChunkTokensMin, fit - decode_rows);
  if (turn.contended) {
    // Both get half of what fits when both want it; a step of a few rows is for whoever waited longer, and those that
    // were served go to the back.
    if (fit <= kRowsAtOnce && !prefilling.empty() && decode_rows >= fit) {
      rows_decode = able.front()->is_prefilling() ? 0 : fit;
    } else if (!prefilling.empty()) {
      rows_decode = std::min(decode_rows, (fit / 2 + 3) / 4 * 4);
    }
    rows_decode = std::min(rows_decode, fit);
    rows_prefill = fit - rows_decode;
  }
  for (RunningGeneration* generation : decoding) {
    if (rows_decode == 0) break;
    rows_decode -= AddDecodeRows(*generation, rows_decode);
  }
  rows_prefill = std::min(rows_prefill, batch_tokens_max_ - batch_->n_tokens);
  for (RunningGeneration* generation : prefilling) {
    if (rows_prefill == 0) break;
    // A rest of less than half a piece goes along: by itself it would wait for another turn.
    const std::int32_t left =
        static_cast<std::int32_t>(generation->request.prompt.size()) - generation->prompt_in_cache;
    const std::int32_t most =
        std::min(std::max(options_.chunk_tokens_max, kChunkTokensMin), batch_tokens_max_ - batch_->n_tokens);
    // What the end of one prompt leaves of a step is for other ends: a piece of another would make it longer.
    const bool is_first = generation->request.tenant == prefilling.front()->request.tenant;
    if (HasNeighbours() && !is_first && left > rows_prefill) continue;
    const bool whole = left <= std::min(rows_prefill + rows_prefill / 2, most);
    rows_prefill -= std::min(rows_prefill, AddChunk(*generation, whole ? left : rows_prefill));
  }
  return !in_step_.empty();
}

}  // namespace allod::inference::engine
