"""Slicer's own Qt classes, as declared.py reads them. A type that ends in ``=`` may be left out."""

from __future__ import annotations

SLICER = """
class qMRMLWidget : QWidget
  slot mrmlScene()
  slot setMRMLScene(vtkMRMLScene*)
  signal mrmlSceneChanged(vtkMRMLScene*)

class qSlicerWidget : qMRMLWidget

class qSlicerAbstractModuleWidget : qSlicerWidget
  property bool isEntered readonly
  property QString moduleName readonly
  slot enter()
  slot exit()
  signal entered()
  signal exited()

class qSlicerScriptedLoadableModuleWidget : qSlicerAbstractModuleWidget
  slot self()
  slot reload()

class qMRMLNodeComboBox : QWidget
  property QString currentNodeID
  property QString currentNodeId
  property QStringList nodeTypes
  property bool showHidden
  property bool showChildNodeTypes = True
  property QStringList hideChildNodeTypes
  property QString baseName
  property bool noneEnabled
  property bool addEnabled = True
  property bool removeEnabled = True
  property bool editEnabled
  property bool renameEnabled
  property QString interactionNodeSingletonTag = "Singleton"
  property bool selectNodeUponCreation = True
  property QString noneDisplay = "None"
  property int sizeAdjustPolicy = 1
  slot mrmlScene()
  slot addAttribute(QString, QString, QVariant=)
  slot removeAttribute(QString, QString)
  slot setNodeTypeLabel(QString, QString)
  slot nodeTypeLabel(QString)
  slot nodeCount()
  slot nodeFromIndex(int)
  slot currentNode()
  slot sortFilterProxyModel()
  slot addMenuAction(QAction*)
  slot setMRMLScene(vtkMRMLScene*)
  slot setCurrentNode(vtkMRMLNode*)
  slot setCurrentNode(QString)
  slot setCurrentNodeID(QString)
  slot setCurrentNodeIndex(int)
  slot addNode(QString=)
  slot removeCurrentNode()
  slot editCurrentNode()
  slot renameCurrentNode()
  signal currentNodeChanged(vtkMRMLNode*)
  signal currentNodeChanged(bool)
  signal currentNodeIDChanged(QString)
  signal nodeActivated(vtkMRMLNode*)
  signal nodeAdded(vtkMRMLNode*)
  signal nodeAddedByUser(vtkMRMLNode*)
  signal nodeAddedByUserAction(vtkMRMLNode*)
  signal nodeAboutToBeRemoved(vtkMRMLNode*)
  signal currentNodeRenamed(QString)
  signal nodeAboutToBeEdited(vtkMRMLNode*)

class qMRMLCheckableNodeComboBox : qMRMLNodeComboBox
  slot checkedNodes()
  slot uncheckedNodes()
  slot allChecked()
  slot noneChecked()
  slot checkState(vtkMRMLNode*)
  slot setCheckState(vtkMRMLNode*, Qt::CheckState)
  slot setUserCheckable(vtkMRMLNode*, bool)
  slot check(vtkMRMLNode*)
  slot uncheck(vtkMRMLNode*)
  signal checkedNodesChanged()

class qMRMLColorTableComboBox : qMRMLNodeComboBox

class qMRMLSliderWidget : ctkSliderWidget
  property QString quantity
  property int unitAwareProperties = 39
  slot mrmlScene()
  slot setQuantity(QString)
  slot setMRMLScene(vtkMRMLScene*)
  slot setUnitAwareProperties(int)

class qMRMLSpinBox : ctkDoubleSpinBox
  property QString quantity
  property int unitAwareProperties = 39
  slot mrmlScene()
  slot setQuantity(QString)
  slot setMRMLScene(vtkMRMLScene*)
  slot setUnitAwareProperties(int)

class qMRMLRangeWidget : ctkRangeWidget
  property QString quantity
  property int unitAwareProperties = 39
  slot mrmlScene()
  slot setQuantity(QString)
  slot setMRMLScene(vtkMRMLScene*)
  slot setUnitAwareProperties(int)

class qMRMLVolumeThresholdWidget : QWidget
  property int autoThreshold
  property double lowerThreshold
  property double upperThreshold
  property double lowerThresholdBound
  property double upperThresholdBound
  slot setMRMLVolumeNode(vtkMRMLNode*)
  slot mrmlVolumeNode()
  slot setAutoThreshold(int)
  slot setLowerThreshold(double)
  slot setUpperThreshold(double)
  slot setLowerThresholdBound(double)
  slot setUpperThresholdBound(double)
  slot setThreshold(double, double)
  slot setThresholdBounds(double, double)
  signal thresholdValuesChanged(double, double)
  signal autoThresholdValueChanged(int)

class qMRMLTableView : QTableView
  property bool transposed
  property bool firstRowLocked
  property bool firstColumnLocked
  slot mrmlScene()
  slot mrmlTableNode()
  slot tableModel()
  slot setMRMLScene(vtkMRMLScene*)
  slot setMRMLTableNode(vtkMRMLNode*)
  slot setTransposed(bool)
  slot setFirstRowLocked(bool)
  slot setFirstColumnLocked(bool)
  slot copySelection()
  signal mrmlSceneChanged(vtkMRMLScene*)
  signal selectionChanged()

class qMRMLSegmentsTableView : qMRMLWidget
  property int selectionMode = 3
  property bool headerVisible = True
  property bool visibilityColumnVisible = True
  property bool colorColumnVisible = True
  property bool opacityColumnVisible = True
  property bool statusColumnVisible
  property bool layerColumnVisible
  property bool readOnly
  property bool filterBarVisible
  property QString textFilter
  property bool jumpToSelectedSegmentEnabled
  property int segmentCount readonly
  property QString useTerminologySelectorSettingsKey = "Segmentations/UseTerminologySelector"
  property bool useTerminologySelector = True
  property bool terminologySelectorOptionVisible = True
  property bool terminologySelectorAutoDisable = True
  slot segmentationNode()
  slot tableWidget()
  slot selectedSegmentIDs()
  slot setSelectedSegmentIDs(QStringList)
  slot clearSelection()
  slot displayedSegmentIDs()
  slot rowForSegmentID(QString)
  slot segmentIDForRow(int)
  slot setSegmentationNode(vtkMRMLNode*)
  slot setMRMLScene(vtkMRMLScene*)
  slot setSelectionMode(int)
  slot setHeaderVisible(bool)
  slot setVisibilityColumnVisible(bool)
  slot setColorColumnVisible(bool)
  slot setOpacityColumnVisible(bool)
  slot setStatusColumnVisible(bool)
  slot setLayerColumnVisible(bool)
  slot setReadOnly(bool)
  slot setFilterBarVisible(bool)
  slot setTextFilter(QString)
  slot setJumpToSelectedSegmentEnabled(bool)
  signal selectionChanged(QItemSelection, QItemSelection)
  signal segmentAboutToBeModified(QString)

class qMRMLSegmentSelectorWidget : qMRMLWidget
  property bool noneEnabled
  property bool segmentationNodeSelectorVisible = True
  slot currentNode()
  slot currentNodeID()
  slot currentSegmentID()
  slot setCurrentNode(vtkMRMLNode*)
  slot setCurrentNodeID(QString)
  slot setCurrentSegmentID(QString)
  signal currentNodeChanged(vtkMRMLNode*)
  signal currentSegmentChanged(QString)

class qMRMLSubjectHierarchyTreeView : QTreeView
  property bool showRootItem = True
  property bool highlightReferencedItems = True
  property bool contextMenuEnabled = True
  property bool editMenuActionVisible = True
  property bool selectRoleSubMenuVisible = True
  property bool multiSelection
  property QString attributeNameFilter
  property QString attributeValueFilter
  property QStringList levelFilter
  property QString nameFilter
  property QStringList nodeTypes
  property QStringList hideChildNodeTypes
  property bool visibilityColumnVisible = True
  property bool idColumnVisible
  property bool colorColumnVisible = True
  property bool transformColumnVisible
  property bool descriptionColumnVisible
  slot mrmlScene()
  slot subjectHierarchyNode()
  slot currentItem()
  slot currentItems(vtkIdList*)
  slot rootItem()
  slot displayedItemCount()
  slot setMRMLScene(vtkMRMLScene*)
  slot setCurrentItem(vtkIdType)
  slot setCurrentNode(vtkMRMLNode*)
  slot setRootItem(vtkIdType)
  slot setShowRootItem(bool)
  slot setMultiSelection(bool)
  slot setContextMenuEnabled(bool)
  slot setEditMenuActionVisible(bool)
  signal currentItemChanged(vtkIdType)
  signal currentItemsChanged(QList<vtkIdType>)
  signal currentItemModified(vtkIdType)

class ctkVTKAbstractView : QWidget
  property QString cornerAnnotationText
  property QColor backgroundColor
  property bool renderEnabled = True
  slot scheduleRender()
  slot forceRender()
  slot renderWindow()
  slot interactor()
  slot interactorStyle()
  slot cornerAnnotation()
  slot setRenderEnabled(bool)
  slot setCornerAnnotationText(QString)
  slot setBackgroundColor(QColor)

class qMRMLSliceView : ctkVTKAbstractView
  slot mrmlSliceNode()
  slot sliceViewInteractorStyle()
  slot getDisplayableManagers(vtkCollection*)
  slot displayableManagerByClassName(QString)
  slot convertDeviceToXYZ(QList<int>)
  slot convertRASToXYZ(QList<double>)
  slot convertXYZToRAS(QList<double>)

class qMRMLThreeDView : ctkVTKAbstractView
  slot mrmlViewNode()
  slot interactorObserver()
  slot getDisplayableManagers(vtkCollection*)
  slot displayableManagerByClassName(QString)
  slot rotateToViewAxis(int)
  slot resetCamera(bool=, bool=, bool=)
  slot cameraNode()
  slot resetFocalPoint()
  slot lookFromAxis(int)

class qMRMLAbstractViewWidget : qMRMLWidget
  slot viewWidget()
  slot mrmlAbstractViewNode()

class qMRMLSliceWidget : qMRMLAbstractViewWidget
  property QString sliceOrientation
  slot sliceController()
  slot mrmlSliceNode()
  slot sliceLogic()
  slot mrmlSliceCompositeNode()
  slot interactorStyle()
  slot sliceView()
  slot setSliceOrientation(QString)
  slot fitSliceToBackground()

class qMRMLSliceControllerWidget : QWidget
  slot mrmlSliceNode()
  slot sliceLogic()
  slot fitSliceToBackground()
  slot setSliceOffsetValue(double)
  slot setSliceVisible(bool)

class qMRMLThreeDWidget : qMRMLAbstractViewWidget
  slot threeDController()
  slot mrmlViewNode()
  slot viewLogic()
  slot threeDView()

class qMRMLThreeDViewControllerWidget : QWidget

class qMRMLPlotView : QWidget
  slot setMRMLScene(vtkMRMLScene*)
  slot setMRMLPlotViewNode(vtkMRMLPlotViewNode*)
  slot fitToContent()
  signal mrmlSceneChanged(vtkMRMLScene*)
  signal dataSelected(vtkStringArray*, vtkCollection*)

class qMRMLPlotWidget : qMRMLAbstractViewWidget
  slot mrmlPlotViewNode()
  slot plotView()
  slot plotController()
  slot setMRMLPlotViewNode(vtkMRMLPlotViewNode*)

class qMRMLTableWidget : qMRMLAbstractViewWidget
  slot mrmlTableViewNode()
  slot tableView()

class qSlicerLayoutManager : QObject
  property bool enabled = True
  property int layout
  property int threeDViewCount readonly
  property int tableViewCount readonly
  property int plotViewCount readonly
  slot mrmlScene()
  slot viewport()
  slot setViewport(QWidget*)
  slot viewWidget(vtkMRMLNode*)
  slot sliceWidget(QString)
  slot sliceViewNames()
  slot threeDWidget(int)
  slot threeDWidget(QString)
  slot tableWidget(int)
  slot plotWidget(int)
  slot mrmlSliceLogics()
  slot mrmlViewLogics()
  slot layoutLogic()
  slot activeMRMLThreeDViewNode()
  slot setLayout(int)
  slot resetThreeDViews()
  slot resetSliceViews()
  slot setRenderPaused(bool)
  slot pauseRender()
  slot resumeRender()
  signal layoutChanged(int)
  signal nodeAboutToBeEdited(vtkMRMLNode*)
"""
