// What nodes measured last: figures of their workers, resident models, compute gate.
//
// Passed through from reports to answers: nothing is decided by it and nothing of it is kept, which is why it holds
// messages and no domain values. Lost with the process and told again with the next report. Bounded by what a report
// may hold and by the driver's limit of nodes, because only nodes that joined are put down here. Thread-safe.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "allod/scheduling/v1/node.pb.h"

namespace allod::scheduling {

class FiguresBoard {
 public:
  // The complete set of a node; replaces the last.
  void Put(const std::string& node, const v1::ReportWorkersRequest& report);
  // Fills in layers and figures of the replicas that nodes told of.
  void AddTo(v1::InstanceStatus& status) const;
  // Layers, figures and process id.
  void AddTo(const std::string& node, const std::string& replica_uid, v1::Worker& worker) const;
  // Resident models and gate.
  void AddTo(const std::string& node, v1::Node& out) const;

 private:
  struct NodeFigures {
    std::map<std::string, v1::WorkerReport> workers;  // by replica; layers, figures and pid only
    v1::ReportWorkersRequest models_and_gate;
  };
  const v1::WorkerReport* Find(const std::string& node, const std::string& replica_uid) const;

  mutable std::mutex mutex_;
  std::map<std::string, NodeFigures> nodes_;
};

}  // namespace allod::scheduling
