// The lathe: an instance of MachineToolType under Objects/Machines that works cycle after cycle, and what its maker
// adds (Vendor: tool, spindle, feed, feed hold), since the standard names none of these.
import opcua from "node-opcua";

const { DataType, StatusCodes, Variant, promoteToStateMachine } = opcua;

const STEP_MS = 50;
const TOOLS = [
  { number: 1, speed: 2400, feed: 320, load: 38 },
  { number: 5, speed: 3200, feed: 180, load: 22 },
  { number: 7, speed: 900, feed: 90, load: 55 },
]; // rpm, mm/min, % of rated power
const VENDOR = {
  tool: ["Tool.Number", "UInt32"],
  spindle_load: ["Spindle.Load", "Double"],
  spindle_speed: ["Spindle.Speed", "Double"],
  feed: ["Feed.Actual", "Double"],
};
const AUTOMATIC = 1;

export class Machine {
  constructor(space, namespace, options) {
    this.space = space;
    this.namespace = namespace;
    this.options = options;
    this.index = (name) => space.getNamespaceIndex(`http://opcfoundation.org/UA/${name}/`);
    this.type = space.findObjectType("MachineToolType", this.index("MachineTool"));
    this.nodes = {};
    this.alerts = new Map();
    this.held = false;
    this.feed = 0;
    this.parts = 0;
    this.state = "READY";
    this.object = this.instantiate("Lathe");
    this.workMasters = this.object.getComponentByName("FileSystem").getComponentByName("WorkMasters");
    this.standard();
    this.vendor();
    this.notifications();
  }

  instantiate(name) {
    return this.type.instantiate({
      browseName: name,
      organizedBy: this.space.findNode(`ns=${this.index("Machinery")};i=1001`),
      namespace: this.namespace,
      optionals: [
        "Equipment.Tools",
        "FileSystem.WorkMasters",
        "Monitoring.MachineTool.FeedOverride",
        "Monitoring.MachineTool.MachineryItemState",
        "Monitoring.MachineTool.MachineryOperationMode",
        "Notification.Messages",
        ...(this.options.omit.has("part_count") ? [] : ["Production.Statistics.PartsProducedInLifetime"]),
      ],
    });
  }

  addSecond() {
    this.instantiate("Mill");
  }

  standard() {
    const { production, monitoring, equipment } = this.object;
    const machineTool = monitoring.machineTool;
    this.program = promoteToStateMachine(production.activeProgram.state);
    this.itemState = promoteToStateMachine(machineTool.getChildByName("MachineryItemState"));
    this.operationMode = promoteToStateMachine(machineTool.getChildByName("MachineryOperationMode"));
    this.operationMode.setState("Processing");
    this.nodes.programme = production.activeProgram.name;
    this.nodes.part_count = production.statistics?.partsProducedInLifetime;
    this.nodes.mode = machineTool.operationMode;
    this.nodes.feed_override = machineTool.feedOverride;
    this.set("programme", DataType.String, "O1234");
    this.set("part_count", DataType.UInt32, 0);
    this.set("mode", DataType.Int32, AUTOMATIC);
    this.set("feed_override", DataType.Double, 100);
    if (this.options.omit.has("programme")) this.remove("programme");
    if (this.options.omit.has("execution")) this.space.deleteNode(production.activeProgram.state);
    this.spindle(monitoring);
    this.channel(monitoring);
    const toolType = this.space.findObjectType("ToolType", this.index("MachineTool"));
    for (const tool of TOOLS) {
      const node = toolType.instantiate({
        browseName: `T${tool.number}`,
        componentOf: equipment.tools,
        namespace: this.namespace,
        optionals: ["Name"],
      });
      node.controlIdentifier1.setValueFromSource({ dataType: DataType.UInt32, value: tool.number });
    }
  }

  spindle(monitoring) {
    const type = this.space.findObjectType("SpindleMonitoringType", this.index("MachineTool"));
    const node = type.instantiate({
      browseName: "S1",
      componentOf: monitoring,
      namespace: this.namespace,
      optionals: ["Override"],
    });
    this.nodes.spindle_override = node.override;
    this.set("spindle_override", DataType.Double, 100);
  }

  channel(monitoring) {
    const type = this.space.findObjectType("ChannelMonitoringType", this.index("MachineTool"));
    const node = type.instantiate({ browseName: "Channel1", componentOf: monitoring, namespace: this.namespace });
    this.nodes.channel_state = node.channelState;
    this.set("channel_state", DataType.Int32, 2);
  }

  vendor() {
    this.folder = this.namespace.addObject({ browseName: "Vendor", nodeId: "s=Vendor", componentOf: this.object });
    for (const signal of Object.keys(VENDOR)) if (!this.options.omit.has(signal)) this.add(signal);
    const hold = this.namespace.addVariable({
      browseName: "FeedHold",
      componentOf: this.folder,
      nodeId: "s=Feed.Hold",
      dataType: "Boolean",
      value: {
        get: () => new Variant({ dataType: DataType.Boolean, value: this.held }),
        set: (given) => this.holdBy(given.value),
      },
    });
    hold.minimumSamplingInterval = 20;
    for (const [name, held] of [["HoldFeed", true], ["ResumeFeed", false]]) {
      const method = this.namespace.addMethod(this.folder, {
        browseName: name,
        nodeId: `s=${name}`,
        inputArguments: held ? [{ name: "Reason", dataType: "String", description: "why" }] : [],
        outputArguments: [],
      });
      method.bindMethod((_given, _context, answer) => answer(null, { statusCode: this.holdBy(held) }));
    }
  }

  /** The vendor's node of `signal`, new: also what a controller does that was given another axis or tool. */
  add(signal) {
    const [name, dataType] = VENDOR[signal];
    this.nodes[signal] = this.namespace.addVariable({
      browseName: name,
      componentOf: this.folder,
      nodeId: `s=${name}`,
      dataType,
      value: { dataType: DataType[dataType], value: 0 },
      minimumSamplingInterval: 0,
    });
  }

  remove(signal) {
    this.space.deleteNode(this.nodes[signal]);
    delete this.nodes[signal];
  }

  set(signal, dataType, value) {
    this.nodes[signal]?.setValueFromSource({ dataType, value }, StatusCodes.Good, new Date());
  }

  holdBy(held) {
    this.held = held;
    return StatusCodes.Good;
  }

  notifications() {
    const { notification } = this.object;
    this.object.setEventNotifier(1);
    notification.setEventNotifier(1);
    notification.messages.setEventNotifier(1);
    const server = this.space.rootFolder.objects.server;
    server.addReference({ referenceType: "HasNotifier", nodeId: this.object });
    this.object.addReference({ referenceType: "HasNotifier", nodeId: notification });
    notification.addReference({ referenceType: "HasEventSource", nodeId: notification.messages });
  }

  /** An error (severity 667–1000) or warning (334–666) of the controller, as OPC 40501-1 8.6.2 has it. */
  alert(code, text, severity) {
    let alert = this.alerts.get(code);
    if (!alert) {
      alert = this.namespace.instantiateAlarmCondition(this.space.findObjectType("AlertType", this.index("MachineTool")), {
        browseName: `Alert${code}`,
        componentOf: this.object.notification.messages,
        conditionSource: this.object.notification.messages,
        inputNode: opcua.NodeId.nullNodeId,
      });
      alert.errorCode.setValueFromSource({ dataType: DataType.String, value: code });
      this.alerts.set(code, alert);
    }
    alert.activeState.setValue(true);
    alert.raiseNewCondition({ message: text, severity, retain: true });
  }

  calm(code) {
    const alert = this.alerts.get(code);
    alert.activeState.setValue(false);
    alert.raiseNewCondition({ message: "cleared", severity: 100, retain: false });
  }

  say(text) {
    const type = this.space.findEventType("NotificationEventType", this.index("MachineTool"));
    this.object.notification.messages.raiseEvent(type, {
      message: { dataType: DataType.LocalizedText, value: { text } },
      severity: { dataType: DataType.UInt16, value: 100 },
      identifier: { dataType: DataType.String, value: "M1" },
    });
  }

  /** Work for ever: `phase` seconds into the cycle; while the feed is held, time in the cycle stands still. */
  run() {
    const cycle = Number(this.options.cycle);
    const between = Number(this.options.between);
    let phase = -between;
    this.become("Initializing", "NotExecuting", 2);
    const step = () => {
      const cutting = phase >= 0 && phase < cycle;
      const tool = cutting ? TOOLS[Math.floor((phase / cycle) * TOOLS.length)] : null;
      const wanted = cutting && !this.held ? tool.feed : 0;
      const most = (TOOLS[0].feed * STEP_MS) / Math.max(1, Number(this.options["ramp-ms"]));
      this.feed += Math.max(-most, Math.min(most, wanted - this.feed));
      this.show(tool, cutting ? ((phase / cycle) * TOOLS.length) % 1 : 0);
      if (cutting && this.held && this.feed === 0) this.become("Interrupted", "NotExecuting", 1);
      else if (cutting && !this.held) this.become("Running", "Executing", 0);
      if (!(this.held && cutting)) phase += STEP_MS / 1000;
      if (phase >= cycle) {
        this.become("Ended", "NotExecuting", 2);
        this.set("part_count", DataType.UInt32, ++this.parts);
        phase = -between;
      }
    };
    setInterval(step, STEP_MS);
  }

  show(tool, part) {
    const engaged = tool ? Math.sin(Math.PI * part) ** 0.3 : 0;
    const share = tool ? this.feed / tool.feed : 0;
    const load = tool ? 3 + tool.load * engaged * share * (1 + 0.05 * Math.sin(part * 40)) : 0;
    this.set("spindle_load", DataType.Double, Math.round(load * 100) / 100);
    this.set("spindle_speed", DataType.Double, tool ? tool.speed : 0);
    this.set("feed", DataType.Double, Math.round(this.feed * 10) / 10);
    if (tool) this.set("tool", DataType.UInt32, tool.number);
  }

  become(program, item, channel) {
    if (this.state === program) return;
    this.state = program;
    if (!this.options.omit.has("execution")) this.program.setState(program);
    this.itemState.setState(item);
    this.set("channel_state", DataType.Int32, channel);
  }
}
