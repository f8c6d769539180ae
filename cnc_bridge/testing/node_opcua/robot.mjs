// A robot as OPC 40010 has it: a MotionDeviceSystemType in DeviceSet, with a controller, a task and a safety state.
import opcua from "node-opcua";

const { DataType, StatusCodes, promoteToStateMachine } = opcua;
const AUTOMATIC = 3;

export function addRobot(space, namespace) {
  const index = space.getNamespaceIndex("http://opcfoundation.org/UA/Robotics/");
  const devices = space.findNode(`ns=${space.getNamespaceIndex("http://opcfoundation.org/UA/DI/")};i=5001`);
  const type = (name) => space.findObjectType(name, index);
  const make = (name, browseName, parent, optionals = []) =>
    type(name).instantiate({ browseName, componentOf: parent, namespace, optionals });
  const system = make("MotionDeviceSystemType", "Robot", devices);
  const controller = make("ControllerType", "Controller", system.controllers);
  const task = make("TaskControlType", "Task", controller.taskControls, ["TaskControlOperation.TaskControlStateMachine"]);
  const safety = make("SafetyStateType", "Safety", system.safetyStates);
  const write = (node, dataType, value) => node.setValueFromSource({ dataType, value }, StatusCodes.Good, new Date());
  write(task.parameterSet.taskProgramName, DataType.String, "PICK_1");
  write(task.parameterSet.taskProgramLoaded, DataType.Boolean, true);
  write(safety.parameterSet.operationalMode, DataType.Int32, AUTOMATIC);
  write(safety.parameterSet.emergencyStop, DataType.Boolean, false);
  write(safety.parameterSet.protectiveStop, DataType.Boolean, false);
  const states = promoteToStateMachine(task.getComponentByName("TaskControlOperation").getComponentByName("TaskControlStateMachine"));
  let executing = false;
  setInterval(() => states.setState((executing = !executing) ? "Executing" : "Ready"), 1000);
}
