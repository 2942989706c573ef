#include "inference/engine/kv_room.h"

namespace allod::inference::engine {

KvRoom::KvRoom(const Limits& limits) : limits_(limits) {
  for (std::int32_t slot = limits.slots - 1; slot >= 0; --slot) slots_.push_back(slot);
}

KvRoom::Use KvRoom::Of(const Uses& uses, const std::string& key) {
  const auto found = uses.find(key);
  return found == uses.end() ? Use{} : found->second;
}

void KvRoom::Add(Uses& uses, const std::string& key, std::int32_t cells, std::int32_t sequences) {
  Use& use = uses[key];
  use.cells += cells;
  use.sequences += sequences;
  if (use.sequences == 0) uses.erase(key);
}

void KvRoom::Reserve(const std::string& tenant, const std::string& instance, std::int32_t cells,
                     std::int32_t sequences) {
  reserved_ += cells;
  sequences_ += sequences;
  Add(tenants_, tenant, cells, sequences);
  Add(instances_, instance, cells, sequences);
}

void KvRoom::Release(const std::string& tenant, const std::string& instance, std::int32_t cells,
                     std::int32_t sequences) {
  Reserve(tenant, instance, -cells, -sequences);
}

bool KvRoom::LeavesRoom(const std::string& tenant, std::int32_t cells, std::int32_t sequences) const {
  return SequencesOfTenant(tenant) == 0 || (reserved_ + cells <= limits_.cells - limits_.newcomer_cells &&
                                            sequences_ + sequences <= limits_.sequences - limits_.newcomer_sequences);
}

std::int32_t KvRoom::TakeSlot() {
  const std::int32_t slot = slots_.back();
  slots_.pop_back();
  return slot;
}

}  // namespace allod::inference::engine
