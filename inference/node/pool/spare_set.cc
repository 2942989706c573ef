#include "inference/node/pool/spare_set.h"

#include <algorithm>

namespace allod::inference::node::pool {
namespace {

// After one that ended by itself.
constexpr auto kRetryAfter = std::chrono::seconds(10);
// A worker that was started has its first request first.
constexpr auto kSettle = std::chrono::milliseconds(300);
// How soon it is seen that nothing is to be done any more.
constexpr auto kLookForIdle = std::chrono::milliseconds(100);

}  // namespace

std::optional<std::uint64_t> SpareSet::Take(const std::string& model_key, const zygote::WorkerShape& shape,
                                            SteadyTime now) {
  if (policy_.keep == std::chrono::seconds(0)) return std::nullopt;
  Model& model = models_[model_key];
  model.shape = shape;
  model.forked = now;
  model.not_before = std::max(model.not_before, now + kSettle);
  if (!model.spare || model.spare->shape != shape) return std::nullopt;
  const std::uint64_t number = model.spare->number;
  model.spare.reset();
  return number;
}

void SpareSet::OnSpareGone(const std::string& model_key, std::uint64_t spare, SteadyTime now) {
  const auto found = models_.find(model_key);
  if (found == models_.end() || !found->second.spare || found->second.spare->number != spare) return;
  found->second.spare.reset();
  found->second.not_before = now + kRetryAfter;
}

std::optional<SpareAction> SpareSet::NextAction(SteadyTime now, const NodeLoad& load) {
  const bool is_short = load.is_short_of_memory || load.memory_available < policy_.memory_reserve_bytes;
  for (auto& [key, model] : models_) {
    const bool is_wanted = now - model.forked < policy_.keep && !is_short;
    if (model.spare && (!is_wanted || model.spare->shape != model.shape)) {
      const Spare spare = *model.spare;
      model.spare.reset();
      // Not made and dropped in turn while memory is about to be short.
      if (is_short) model.not_before = now + kRetryAfter;
      return SpareAction{SpareAction::Kind::kDrop, key, spare.shape, spare.number};
    }
    if (model.spare || !is_wanted || !load.is_idle || now < model.not_before) continue;
    model.spare = Spare{++last_number_, model.shape};
    return SpareAction{SpareAction::Kind::kMake, key, model.shape, model.spare->number};
  }
  return std::nullopt;
}

std::optional<SteadyTime> SpareSet::NextDeadline(SteadyTime now) const {
  std::optional<SteadyTime> next;
  for (const auto& [key, model] : models_) {
    const SteadyTime ends = model.forked + policy_.keep;
    if (!model.spare && now >= ends) continue;
    const SteadyTime made = model.not_before > now ? model.not_before : now + kLookForIdle;
    const SteadyTime at = model.spare ? ends : made;
    if (at > now) next = next ? std::min(*next, at) : at;
  }
  return next;
}

}  // namespace allod::inference::node::pool
