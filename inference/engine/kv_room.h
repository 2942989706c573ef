// Who holds how much of the KV cache: cells, sequence numbers ("slots"), and how many sequences run, for each tenant
// and instance. Pure bookkeeping of llama_decode_loop.cc; for one thread.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace allod::inference::engine {

class KvRoom {
 public:
  struct Limits {
    std::int32_t cells = 0;
    std::int32_t sequences = 0;         // that run
    std::int32_t slots = 0;             // sequences, and prefixes that are kept
    std::int32_t tenant_cells = 0;      // running and kept
    std::int32_t tenant_sequences = 0;  // that run
    // Left to tenants that hold nothing:
    std::int32_t newcomer_cells = 0;
    std::int32_t newcomer_sequences = 0;
  };
  explicit KvRoom(const Limits& limits);

  void Reserve(const std::string& tenant, const std::string& instance, std::int32_t cells, std::int32_t sequences);
  void Release(const std::string& tenant, const std::string& instance, std::int32_t cells, std::int32_t sequences);
  // Whether a tenant that holds something already leaves room for one that does not, when it takes so much more.
  bool LeavesRoom(const std::string& tenant, std::int32_t cells, std::int32_t sequences) const;
  std::int32_t reserved() const { return reserved_; }
  std::int32_t sequences() const { return sequences_; }
  std::int32_t CellsOf(const std::string& tenant) const { return Of(tenants_, tenant).cells; }
  std::int32_t SequencesOfTenant(const std::string& tenant) const { return Of(tenants_, tenant).sequences; }
  std::int32_t SequencesOfInstance(const std::string& instance) const { return Of(instances_, instance).sequences; }
  const Limits& limits() const { return limits_; }

  std::int32_t free_slots() const { return static_cast<std::int32_t>(slots_.size()); }
  std::int32_t TakeSlot();
  void GiveSlot(std::int32_t slot) { slots_.push_back(slot); }

 private:
  struct Use {
    std::int32_t cells = 0;
    std::int32_t sequences = 0;
  };
  using Uses = std::map<std::string, Use>;
  static Use Of(const Uses& uses, const std::string& key);
  static void Add(Uses& uses, const std::string& key, std::int32_t cells, std::int32_t sequences);

  const Limits limits_;
  std::int32_t reserved_ = 0;
  std::int32_t sequences_ = 0;
  Uses tenants_;
  Uses instances_;
  std::vector<std::int32_t> slots_;
};

}  // namespace allod::inference::engine
