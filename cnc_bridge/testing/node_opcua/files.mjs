// A folder of NC programmes as a FileDirectoryType: the files are node-opcua's own FileType, the directory's four
// methods, which the library leaves to the server's author, are here.
import fs from "node:fs";
import path from "node:path";
import opcua from "node-opcua";
import { installFileType } from "node-opcua-file-transfer";

const { DataType, StatusCodes } = opcua;
const CHUNK = 16 * 1024;

export class Programmes {
  constructor(space, namespace, folder) {
    this.space = space;
    this.namespace = namespace;
    this.folder = folder;
    this.files = new Map();
  }

  install(directory) {
    this.directory = directory;
    const bind = (name, deed) =>
      directory
        .getMethodByName(name)
        .bindMethod((given, _context, answer) => answer(null, deed(...given.map((each) => each.value))));
    bind("CreateFile", (name) => this.create(name));
    bind("Delete", (nodeId) => this.remove(nodeId));
    bind("CreateDirectory", () => ({ statusCode: StatusCodes.BadNotSupported }));
    bind("MoveOrCopy", () => ({ statusCode: StatusCodes.BadNotSupported }));
    for (const name of fs.readdirSync(this.folder)) this.show(name);
  }

  show(name) {
    const file = this.space.findObjectType("FileType").instantiate({
      browseName: { name, namespaceIndex: this.namespace.index },
      nodeId: `s=Programmes/${name}`,
      namespace: this.namespace,
      organizedBy: this.directory,
    });
    installFileType(file, { filename: path.join(this.folder, name), maxChunkSize: CHUNK });
    this.files.set(file.nodeId.toString(), name);
    return file;
  }

  create(name) {
    if (path.basename(name) !== name || name.startsWith(".")) return { statusCode: StatusCodes.BadInvalidArgument };
    if ([...this.files.values()].includes(name)) return { statusCode: StatusCodes.BadBrowseNameDuplicated };
    fs.writeFileSync(path.join(this.folder, name), "");
    const file = this.show(name);
    return {
      statusCode: StatusCodes.Good,
      outputArguments: [
        { dataType: DataType.NodeId, value: file.nodeId },
        { dataType: DataType.UInt32, value: 0 },
      ],
    };
  }

  remove(nodeId) {
    const name = this.files.get(nodeId.toString());
    if (!name) return { statusCode: StatusCodes.BadNotFound };
    this.space.deleteNode(nodeId);
    this.files.delete(nodeId.toString());
    fs.rmSync(path.join(this.folder, name));
    return { statusCode: StatusCodes.Good };
  }
}
