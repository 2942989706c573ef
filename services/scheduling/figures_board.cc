#include "services/scheduling/figures_board.h"

#include "services/scheduling/convert.h"

namespace allod::scheduling {

void FiguresBoard::Put(const std::string& node, const v1::ReportWorkersRequest& report) {
  NodeFigures figures;
  for (const auto& worker : report.workers()) {
    if (!LayersFit(worker)) continue;
    v1::WorkerReport& kept = figures.workers[worker.replica_uid()];
    *kept.mutable_sandbox_layers() = worker.sandbox_layers();
    if (worker.has_figures()) *kept.mutable_figures() = worker.figures();
    kept.set_pid(worker.pid());
  }
  *figures.models_and_gate.mutable_resident_models() = report.resident_models();
  if (report.has_gate()) *figures.models_and_gate.mutable_gate() = report.gate();
  const std::lock_guard lock(mutex_);
  nodes_[node] = std::move(figures);
}

const v1::WorkerReport* FiguresBoard::Find(const std::string& node, const std::string& replica_uid) const {
  const auto found = nodes_.find(node);
  if (found == nodes_.end()) return nullptr;
  const auto worker = found->second.workers.find(replica_uid);
  return worker == found->second.workers.end() ? nullptr : &worker->second;
}

void FiguresBoard::AddTo(v1::InstanceStatus& status) const {
  const std::lock_guard lock(mutex_);
  for (auto& replica : *status.mutable_replicas()) {
    const v1::WorkerReport* worker = Find(replica.node(), replica.uid());
    if (worker == nullptr) continue;
    *replica.mutable_sandbox_layers() = worker->sandbox_layers();
    if (worker->has_figures()) *replica.mutable_figures() = worker->figures();
  }
}

void FiguresBoard::AddTo(const std::string& node, const std::string& replica_uid, v1::Worker& worker) const {
  const std::lock_guard lock(mutex_);
  const v1::WorkerReport* found = Find(node, replica_uid);
  if (found == nullptr) return;
  *worker.mutable_sandbox_layers() = found->sandbox_layers();
  if (found->has_figures()) *worker.mutable_figures() = found->figures();
  worker.set_pid(found->pid());
}

void FiguresBoard::AddTo(const std::string& node, v1::Node& out) const {
  const std::lock_guard lock(mutex_);
  const auto found = nodes_.find(node);
  if (found == nodes_.end()) return;
  *out.mutable_resident_models() = found->second.models_and_gate.resident_models();
  if (found->second.models_and_gate.has_gate()) *out.mutable_gate() = found->second.models_and_gate.gate();
}

}  // namespace allod::scheduling
