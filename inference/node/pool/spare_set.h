// Which models have a spare worker: a process that was forked ahead, with its namespaces, engine and server, warm, and
// belongs to nobody until an instance of its shape is started. It then has to be told only whom it answers for.
//
// Decisions only: no I/O, no threads, no clock. A spare costs memory, so there is at most one of each shared model, of
// the shape that was forked last, made when nothing else is to be done, kept for a while after the last fork, and given
// up first when memory is short. It is used once. Each has a number, so that the late end of one is not taken for that
// of the next. Not thread-safe.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "inference/node/pool/desired.h"
#include "inference/zygote/worker_spec.h"

namespace allod::inference::node::pool {

struct SparePolicy {
  // A model from which nothing was forked for this long has none. 0: no model has one.
  std::chrono::seconds keep{600};
  // What must stay available beside a spare.
  std::int64_t memory_reserve_bytes = std::int64_t{512} << 20;
};

struct SpareAction {
  enum class Kind { kMake, kDrop };
  Kind kind;
  std::string model_key;
  zygote::WorkerShape shape;
  std::uint64_t spare = 0;  // its number
};

// What a spare may only be made in: nothing starts, nobody computes; and how much memory there is.
struct NodeLoad {
  bool is_idle = false;
  bool is_short_of_memory = false;  // a model waits for room
  std::int64_t memory_available = 0;
};

class SpareSet {
 public:
  explicit SpareSet(SparePolicy policy) : policy_(policy) {}

  // A worker of that shape is wanted. The number of the spare that is to be taken for it, if any; it is gone then.
  std::optional<std::uint64_t> Take(const std::string& model_key, const zygote::WorkerShape& shape, SteadyTime now);
  // The model's process is gone, and with it its spare.
  void OnModelGone(const std::string& model_key) { models_.erase(model_key); }
  // That spare ended by itself, or could not be made; it is not made again at once.
  void OnSpareGone(const std::string& model_key, std::uint64_t spare, SteadyTime now);

  // Nothing to decide.
  bool IsEmpty() const { return models_.empty(); }
  // What to do now, if anything; call until it returns nothing. The action counts as done.
  std::optional<SpareAction> NextAction(SteadyTime now, const NodeLoad& load);
  // When NextAction may have something to do although nothing happens before. Later than `now`.
  std::optional<SteadyTime> NextDeadline(SteadyTime now) const;

 private:
  struct Spare {
    std::uint64_t number = 0;
    zygote::WorkerShape shape;
  };
  struct Model {
    zygote::WorkerShape shape;  // forked last
    SteadyTime forked{};
    SteadyTime not_before{};
    std::optional<Spare> spare;
  };

  const SparePolicy policy_;
  std::map<std::string, Model> models_;
  std::uint64_t last_number_ = 0;
};

}  // namespace allod::inference::node::pool
