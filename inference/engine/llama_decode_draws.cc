// The part of DecodeLoop that goes on with draws under way: constraints, and what else goes through a whole vocabulary.
//
// Draws are made in the turn, after the step, because they take a core from the others like any step does. They are
// charged to their tenant. While somebody could take part in the next step they get the DrawBudget and no more; a
// sequence whose draw is not done sits out the steps in the meantime, so that no neighbour waits for it.
#include <algorithm>
#include <set>
#include <vector>

#include "inference/engine/llama_decode_loop.h"

namespace allod::inference::engine {
namespace {

using std::chrono::duration_cast;
using std::chrono::microseconds;
using std::chrono::steady_clock;

// So that all that are cheap are done before one that is not goes on.
constexpr microseconds kSlice{500};
// What a turn that the step has used up may be exceeded by: enough for draws of the ordinary kind.
constexpr microseconds kGrace{1000};

}  // namespace

Status DecodeLoop::DrawSlice(RunningGeneration& generation, SteadyTime until) {
  for (RunningGeneration::Choice& choice : generation.choices) {
    if (!choice.draw) continue;
    ALLOD_CHECK_OK(generation.GoOnDrawing(choice, until));
    if (steady_clock::now() >= until) break;
  }
  return {};
}

void DecodeLoop::GoOnDrawing(const ports::TurnGate::Turn& turn, SteadyTime turn_began, double step_seconds) {
  std::vector<RunningGeneration*> drawing;
  std::set<std::string> tenants;
  for (const auto& generation : running_) {
    if (!generation->is_drawing()) continue;
    tenants.insert(generation->request.tenant);
    if (!generation->request.stream->is_full()) drawing.push_back(generation.get());
  }
  draw_budget_.Earn(step_seconds, tenants);
  if (tenants.empty()) return;
  {
    const std::lock_guard lock(queue_mutex_);
    std::ranges::stable_sort(drawing, {}, [&](const auto* one) { return queue_.ServedOf(one->request.tenant); });
  }
  const SteadyTime end = std::max(turn_began + turn.budget, steady_clock::now() + kGrace);
  for (bool went_on = true; went_on && !drawing.empty();) {
    went_on = false;
    for (RunningGeneration*& generation : drawing) {
      const SteadyTime now = steady_clock::now();
      if (now >= end || stop_.load(std::memory_order_relaxed)) break;
      SteadyTime until = std::min(end, now + kSlice);
      const bool others_wait = AnyCanStep();
      if (others_wait) {
        const auto left = std::chrono::duration<double>(draw_budget_.Of(generation->request.tenant));
        if (left.count() <= 0) continue;
        until = std::min(until, now + duration_cast<steady_clock::duration>(left));
      }
      went_on = true;
      const std::string tenant = generation->request.tenant;
      const Status drawn = DrawSlice(*generation, until);
      const double seconds = std::chrono::duration<double>(steady_clock::now() - now).count();
      Charge(*generation, seconds);
      if (others_wait) draw_budget_.Spend(tenant, seconds);
      if (Settle(*generation, drawn) || !generation->is_drawing()) generation = nullptr;
    }
    std::erase(drawing, nullptr);
  }
  // The next step overwrites the logits.
  for (const auto& generation : running_) {
    for (RunningGeneration::Choice& choice : generation->choices) {
      if (choice.draw) choice.draw->Keep();
    }
  }
}

}  // namespace allod::inference::engine
